// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) the kcoro authors

// The programs of the native rows in Go, one to one. Like native_worker.py it says "ready" and answers each line
// "PROGRAM ELEMENTS WIDTH" with one JSON object. It is to be run with GOMAXPROCS=1.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

const (
	batch = 100
	row   = 1000
	crowd = 8
)

// memory is what the last program says about bytes.
var memory int64

type answer struct {
	Count     int     `json:"count"`
	Total     int     `json:"total"`
	Seconds   float64 `json:"seconds"`
	Processor float64 `json:"processor"`
	Memory    int64   `json:"memory"`
}

func rendezvous(n, _ int) (int, int) {
	ask, reply := make(chan int), make(chan int)
	go func() {
		for i := 0; i < n; i++ {
			reply <- <-ask + 1
		}
	}()
	total := 0
	for i := 0; i < n; i++ {
		ask <- i
		total += <-reply
	}
	return n, total
}

func pump(n, capacity, producers, consumers int) (int, int) {
	ch := make(chan int, capacity)
	var all sync.WaitGroup
	all.Add(producers + consumers)
	count, total := 0, 0
	for first := 0; first < producers; first++ {
		go func(first int) {
			for i := first; i < n; i += producers {
				ch <- i
			}
			all.Done()
		}(first)
	}
	var lock sync.Mutex
	for c := 0; c < consumers; c++ {
		go func() {
			mine := 0
			for i := 0; i < n/consumers; i++ {
				mine += <-ch
			}
			lock.Lock()
			count, total = count+n/consumers, total+mine
			lock.Unlock()
			all.Done()
		}()
	}
	all.Wait()
	return count, total
}

func buffered(n, _ int) (int, int) { return pump(n, 128, 1, 1) }

func fanIn(n, _ int) (int, int) { return pump(n, 0, crowd, 1) }

func fanOut(n, _ int) (int, int) { return pump(n, 0, 1, crowd) }

func selects(n, width int) (int, int) {
	channels := make([]chan int, width)
	for i := range channels {
		channels[i] = make(chan int)
	}
	reply := make(chan int)
	choose := map[int]func([]chan int) int{2: choose2, 8: choose8, 64: choose64}[width]
	total := 0
	go func() {
		for i := 0; i < n; i++ {
			total += choose(channels)
			reply <- 0
		}
	}()
	for i := 0; i < n; i++ {
		channels[i*7%width] <- i
		<-reply
	}
	return n, total
}

func spawn(n, _ int) (int, int) {
	count, total := 0, 0
	var lock sync.Mutex
	for first := 0; first < n; first += batch {
		var all sync.WaitGroup
		all.Add(batch)
		for i := first; i < first+batch; i++ {
			go func(i int) {
				lock.Lock()
				count, total = count+1, total+i
				lock.Unlock()
				all.Done()
			}(i)
		}
		all.Wait()
	}
	return count, total
}

func sleepers(n, width int) (int, int) {
	count, total := 0, 0
	var lock sync.Mutex
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		go func(i int) {
			time.Sleep(100*time.Millisecond + time.Duration(i*7919%width)*time.Millisecond)
			lock.Lock()
			count, total = count+1, total+i
			lock.Unlock()
			all.Done()
		}(i)
	}
	all.Wait()
	return count, total
}

func resident() int64 {
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		return 0
	}
	defer file.Close()
	var size, pages int64
	fmt.Fscan(file, &size, &pages)
	return pages * int64(os.Getpagesize())
}

func parked(n, _ int) (int, int) {
	ch := make(chan int)
	count, total, waiting := 0, 0, 0
	known := make(chan int)
	var lock sync.Mutex
	var all sync.WaitGroup
	all.Add(n)
	before := resident()
	for i := 0; i < n; i++ {
		go func() {
			lock.Lock()
			waiting++
			last := waiting == n
			lock.Unlock()
			if last {
				known <- 0
			}
			value := <-ch
			lock.Lock()
			count, total = count+1, total+value
			lock.Unlock()
			all.Done()
		}()
	}
	<-known
	memory = resident() - before
	for i := 0; i < n; i++ {
		ch <- i
	}
	all.Wait()
	return count, total
}

func chain(n, _ int) (int, int) {
	first := make(chan int)
	receive := first
	for t := 0; t < row; t++ {
		send := make(chan int)
		go func(receive, send chan int) {
			for i := 0; i < n/row; i++ {
				send <- <-receive + 1
			}
		}(receive, send)
		receive = send
	}
	go func() {
		for i := 0; i < n/row; i++ {
			first <- i
		}
	}()
	total := 0
	for i := 0; i < n/row; i++ {
		total += <-receive
	}
	return n, total
}

var programs = map[string]func(int, int) (int, int){
	"rendezvous": rendezvous, "buffered": buffered, "fan_in": fanIn, "fan_out": fanOut, "select": selects,
	"spawn": spawn, "sleepers": sleepers, "parked": parked, "chain": chain,
}

func processor() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

func run(program func(int, int) (int, int), n, width int) answer {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // as in Python: no collection while it is measured
	memory = 0
	start, used := time.Now(), processor()
	count, total := program(n, width)
	return answer{count, total, time.Since(start).Seconds(), processor() - used, memory}
}

func main() {
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var name string
		var n, width int
		if _, err := fmt.Sscan(lines.Text(), &name, &n, &width); err != nil || programs[name] == nil {
			fmt.Fprintln(os.Stderr, "not understood:", lines.Text())
			os.Exit(2)
		}
		line, _ := json.Marshal(run(programs[name], n, width))
		fmt.Println(string(line))
	}
}
