package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// meter measures the process from its start on.
type meter struct {
	started      time.Time
	user, system time.Duration
}

func start() *meter {
	user, system := cpuTime()
	return &meter{time.Now(), user, system}
}

// report prints the result: so many records, and bytes in their keys and values.
func (m *meter) report(o *options, records, bytes int, latencies []time.Duration, firstAck time.Duration) {
	wall := time.Since(m.started).Seconds()
	user, system := cpuTime()
	userS, systemS := (user - m.user).Seconds(), (system - m.system).Seconds()
	result := map[string]any{
		"client": "franz-go", "op": o.operation, "records": records, "size": o.size, "compression": o.compression,
		"wall_s": round(wall, 4), "rps": round(float64(records)/wall, 0), "mbps": round(float64(bytes)/wall/1e6, 1),
		"cpu_user_s": round(userS, 3), "cpu_sys_s": round(systemS, 3),
		"cpu_us_per_record": round((userS+systemS)*1e6/float64(records), 4), "max_rss_mb": round(maxRSS(), 1),
	}
	if last := len(latencies) - 1; last > 0 {
		slices.Sort(latencies)
		for name, fraction := range map[string]float64{"p50": .5, "p90": .9, "p99": .99, "p999": .999, "max": 1} {
			result[name+"_us"] = round(latencies[int(float64(last)*fraction)].Seconds()*1e6, 1)
		}
	}
	if firstAck > 0 {
		result["first_ack_ms"] = round(firstAck.Seconds()*1e3, 2)
	}
	line, err := json.Marshal(result)
	check(err)
	fmt.Println(string(line))
}

// cpuTime is that of all threads, in user and in system mode.
func cpuTime() (user, system time.Duration) {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
}

// maxRSS is the most memory that was ever held, in MiB. Not getrusage's: that counts what the parent held before it became this process.
func maxRSS() float64 {
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kibibytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			check(err)
			return kibibytes / 1024
		}
	}
	return 0
}

func round(value float64, decimals int) float64 {
	unit := math.Pow10(decimals)
	return math.Round(value*unit) / unit
}
