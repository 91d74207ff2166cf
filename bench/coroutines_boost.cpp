/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) the kcoro authors */
/* Boost.Context's side of bench/coroutines.py; the same programs as coroutines.c. */

#include <atomic>
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <cfenv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>

namespace context = boost::context;

static long count;

static double processor_ns() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

static bool divides; /* the sticky flags of floating point differ then, once this side has divided */

static void divide() {
    volatile double three = 3, third;
    if (divides)
        third = 1 / three, (void)third;
}

static void comes_back(context::detail::transfer_t from) {
    for (;;)
        from = context::detail::jump_fcontext(from.fctx, nullptr);
}

static void bare() {
    alignas(64) static char stack[65536];
    feclearexcept(FE_ALL_EXCEPT);
    context::detail::fcontext_t other = context::detail::make_fcontext(stack + sizeof stack, sizeof stack, comes_back);
    other = context::detail::jump_fcontext(other, nullptr).fctx;
    divide();
    for (long i = 0; i < count; i++)
        other = context::detail::jump_fcontext(other, nullptr).fctx;
}

static void flags() {
    divides = true;
    bare();
}

static void resume() {
    bool ends = false;
    context::fiber other{[&ends](context::fiber &&from) {
        while (!ends)
            from = std::move(from).resume();
        return std::move(from);
    }};
    for (long i = 0; i < count; i++)
        other = std::move(other).resume();
    ends = true;
    other = std::move(other).resume();
}

/* From one fiber to another, and not to whoever began: half of a resume and a yield. */
static void transfer() {
    context::fiber one{[](context::fiber &&thread) {
        count /= 2;
        resume();
        count *= 2;
        return std::move(thread);
    }};
    one = std::move(one).resume();
}

/* The same where several threads may try, and one is to win: as libkcoro has it. */
static void claimed() {
    enum { SUSPENDED, RUNNING };
    std::atomic<int> state{SUSPENDED};
    bool ends = false;
    context::fiber other{[&ends](context::fiber &&from) {
        while (!ends)
            from = std::move(from).resume();
        return std::move(from);
    }};
    for (long i = 0; i < count; i++) {
        int was = SUSPENDED;
        if (!state.compare_exchange_strong(was, RUNNING, std::memory_order_acq_rel, std::memory_order_acquire))
            exit(1);
        other = std::move(other).resume();
        state.store(SUSPENDED, std::memory_order_release);
    }
    ends = true;
    other = std::move(other).resume();
}

static void create() {
    static context::pooled_fixedsize_stack stacks{65536};
    long ran = 0;
    for (long i = 0; i < count; i++) {
        context::fiber other{std::allocator_arg, stacks, [&ran](context::fiber &&from) {
                                 ++ran;
                                 return std::move(from);
                             }};
        other = std::move(other).resume();
    }
    if (ran != count)
        exit(1);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*work)();
    } all[] = {{"bare", bare},       {"flags", flags},       {"resume", resume},
               {"claimed", claimed}, {"transfer", transfer}, {"create", create}};
    if (argc != 3)
        return 2;
    for (const auto &one : all)
        if (strcmp(argv[1], one.name) == 0) {
            count = 1000;
            one.work();
            count = atol(argv[2]);
            double began = processor_ns();
            one.work();
            printf("%.3f\n", (processor_ns() - began) / static_cast<double>(count));
            return 0;
        }
    return 2;
}
