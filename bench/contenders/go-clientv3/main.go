// Command go-clientv3 makes the single calls of a row with Go's own client, a round for each line on standard input.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type assignment struct {
	Endpoints   []string
	CA          string
	Call        string
	Concurrency int
	ValueBytes  int
	Keys        int
	RoundMs     int
}

type sample struct {
	Operations   int     `json:"operations"`
	OpsPerSecond float64 `json:"opsPerSecond"`
	CPUUs        float64 `json:"cpuUs"`
	P50Ms        float64 `json:"p50Ms"`
	P99Ms        float64 `json:"p99Ms"`
	PeakRssBytes int64   `json:"peakRssBytes"`
}

func main() {
	var a assignment
	must(json.Unmarshal([]byte(os.Args[1]), &a))
	config := clientv3.Config{Endpoints: a.Endpoints, DialTimeout: 5 * time.Second}
	if a.CA != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(a.CA))
		config.TLS = &tls.Config{RootCAs: pool}
	}
	client, err := clientv3.New(config)
	must(err)
	defer client.Close()
	value := strings.Repeat("v", a.ValueBytes)
	call := func(key string) error {
		if a.Call == "get" {
			_, err := client.Get(context.Background(), key)
			return err
		}
		_, err := client.Put(context.Background(), key, value)
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan() && lines.Text() == "round"; {
		text, err := json.Marshal(measure(a, call))
		must(err)
		fmt.Println(string(text))
	}
}

func measure(a assignment, call func(key string) error) sample {
	latencies := make([][]float64, a.Concurrency)
	var next atomic.Int64
	var callers sync.WaitGroup
	before, startedAt := usage(), time.Now()
	until := startedAt.Add(time.Duration(a.RoundMs) * time.Millisecond)
	for index := range a.Concurrency {
		callers.Go(func() {
			for begin := time.Now(); begin.Before(until); {
				must(call(fmt.Sprintf("bench/single/%d", int(next.Add(1))%a.Keys)))
				end := time.Now()
				latencies[index] = append(latencies[index], float64(end.Sub(begin).Nanoseconds())/1e6)
				begin = end
			}
		})
	}
	callers.Wait()
	seconds, after := time.Since(startedAt).Seconds(), usage()
	all := []float64{}
	for _, some := range latencies {
		all = append(all, some...)
	}
	sort.Float64s(all)
	count := len(all)
	return sample{
		Operations:   count,
		OpsPerSecond: float64(count) / seconds,
		CPUUs:        (cpuUs(after) - cpuUs(before)) / float64(count),
		P50Ms:        all[count/2],
		P99Ms:        all[count*99/100],
		PeakRssBytes: peakRssBytes(),
	}
}

func usage() syscall.Rusage {
	var r syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return r
}

// peakRssBytes reads what Linux keeps for this program alone; Maxrss includes the process that started it.
func peakRssBytes() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return usage().Maxrss * 1024
	}
	var kib int64
	for _, line := range strings.Split(string(status), "\n") {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			break
		}
	}
	return kib * 1024
}

func cpuUs(r syscall.Rusage) float64 {
	return float64(r.Utime.Sec+r.Stime.Sec)*1e6 + float64(r.Utime.Usec+r.Stime.Usec)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
