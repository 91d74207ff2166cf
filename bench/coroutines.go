// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) the kcoro authors

// Go's side of bench/coroutines.py, on one processor: goroutines where coroutines.c has coroutines.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

func processorNs() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano() + used.Stime.Nano())
}

// Two that give each other a turn: there and back.
func resume(count int) {
	ends, ended := false, make(chan struct{})
	go func() {
		for !ends {
			runtime.Gosched()
		}
		close(ended)
	}()
	for i := 0; i < count; i++ {
		runtime.Gosched()
	}
	ends = true
	<-ended
}

func create(count int) {
	ran := 0
	for i := 0; i < count; i++ {
		go func() { ran++ }()
		for ran == i {
			runtime.Gosched()
		}
	}
}

func main() {
	work := map[string]func(int){"resume": resume, "create": create}[os.Args[1]]
	count, _ := strconv.Atoi(os.Args[2])
	runtime.GOMAXPROCS(1)
	work(1000)
	began := processorNs()
	work(count)
	fmt.Printf("%.3f\n", (processorNs()-began)/float64(count))
}
