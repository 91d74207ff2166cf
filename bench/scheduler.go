// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) the kcoro authors

// Go's side of bench/scheduler.py: the programs of scheduler.c, one to one, with GOMAXPROCS as many as it has workers.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var count, width int
var total uint64

// Two that give each other a turn.
func yield() {
	var both sync.WaitGroup
	var turns [2]int
	both.Add(2)
	for t := range turns {
		go func(t int) {
			for i := 0; i < count/2; i++ {
				runtime.Gosched()
				turns[t]++
			}
			both.Done()
		}(t)
	}
	both.Wait()
	total += uint64(turns[0] + turns[1])
}

func roundTrips(prepare func(), receive func(chan uint64) uint64) {
	ask, reply := make(chan uint64), make(chan uint64)
	ended := make(chan struct{})
	go func() {
		prepare()
		for i := 0; i < count; i++ {
			reply <- <-ask + 1
		}
		close(ended)
	}()
	prepare()
	for i := 0; i < count; i++ {
		ask <- uint64(i)
		total += receive(reply)
	}
	<-ended
}

func plainly(reply chan uint64) uint64 { return <-reply }

func rendezvous() { roundTrips(func() {}, plainly) }

// Each side in a thread of its own.
func apart() {
	roundTrips(runtime.LockOSThread, plainly)
	runtime.UnlockOSThread()
}

// A receive that ends after an hour; one timer, used again and again, which is the fastest that Go has.
func deadline() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	roundTrips(func() {}, func(reply chan uint64) uint64 {
		timer.Reset(time.Hour)
		select {
		case value := <-reply:
			timer.Stop()
			return value
		case <-timer.C:
			panic("an hour has passed")
		}
	})
}

func buffered() {
	ch := make(chan uint64, 128)
	go func() {
		for i := 0; i < count; i++ {
			ch <- uint64(i)
		}
	}()
	for i := 0; i < count; i++ {
		total += <-ch
	}
}

// Start width of them, then wait for all and take the results, again and again.
func batches(fn func(uint64) int32) {
	results := make([]int32, width)
	for first := 0; first < count; first += width {
		var all sync.WaitGroup
		all.Add(width)
		for i := 0; i < width; i++ {
			go func(i int) {
				results[i] = fn(uint64(first + i))
				all.Done()
			}(i)
		}
		all.Wait()
		for _, result := range results {
			total += uint64(result)
		}
	}
}

func spawns() { batches(func(n uint64) int32 { return int32(n) }) }

// About a microsecond that no compiler can shorten.
func computes(x uint64) int32 {
	for i := 0; i < 1000; i++ {
		x = x*6364136223846793005 + 1442695040888963407
		x ^= x >> 33
	}
	return int32(x & 0xffff)
}

func steal() { batches(computes) }

// This processor is busy until another one has taken what it has started.
func first() {
	var hasRun int64
	for i := int64(0); i < int64(count); i++ {
		var one sync.WaitGroup
		one.Add(1)
		go func() {
			atomic.AddInt64(&hasRun, 1)
			one.Done()
		}()
		for atomic.LoadInt64(&hasRun) == i {
		}
		one.Wait()
		total++
	}
}

func never() { panic("an hour has passed") }

// Take one of width timers back and start it again.
func rearm() {
	all := make([]*time.Timer, width)
	for i := 0; i < count+width; i++ {
		span := time.Hour + time.Duration(i*7919%width)*time.Millisecond
		if timer := all[i%width]; timer == nil {
			all[i%width] = time.AfterFunc(span, never)
		} else if timer.Reset(span) {
			total++
		}
	}
	for _, timer := range all {
		timer.Stop()
	}
}

// By how much each sleeper woke late.
var late []time.Duration

func sleepers() {
	batches(func(n uint64) int32 {
		span := 100*time.Millisecond + time.Duration(n*7919%uint64(width/20))*time.Millisecond
		began := time.Now()
		time.Sleep(span)
		late[n%uint64(width)] = time.Since(began) - span
		return int32(n)
	})
}

// What 95 of 100 were not above; 0 where nobody slept.
func mostLate() time.Duration {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	return late[width*95/100]
}

func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

var programs = map[string]func(){
	"yield": yield, "rendezvous": rendezvous, "apart": apart, "deadline": deadline, "buffered": buffered,
	"spawn": spawns, "steal": steal, "first": first, "rearm": rearm, "sleepers": sleepers,
}

func main() {
	work := programs[os.Args[1]]
	workers, _ := strconv.Atoi(os.Args[2])
	full, _ := strconv.Atoi(os.Args[3])
	width, _ = strconv.Atoi(os.Args[4])
	runtime.GOMAXPROCS(workers)
	late = make([]time.Duration, width)
	count = full / 10 / width * width
	if full < 10*width {
		count = width
	}
	work()
	runtime.GC()
	debug.SetGCPercent(-1) // as in C: no collection while it is measured
	count, total = full, 0
	began, used := time.Now(), processor()
	work()
	seconds, spent := time.Since(began).Seconds(), (processor() - used).Seconds()
	fmt.Printf("{\"count\": %d, \"total\": %d, \"seconds\": %.9f, \"processor\": %.9f, \"late\": %.9f}\n",
		count, total, seconds, spent, mostLate().Seconds())
}
