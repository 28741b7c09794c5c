package main

import (
	"math"
	"slices"
	"time"
)

// summary is all calls together. Outcomes names what became of them, with how many each.
type summary struct {
	Calls    int            `json:"calls"`
	Right    int            `json:"right"` // at once or by the status link
	Wrong    int            `json:"wrong"`
	Outcomes map[string]int `json:"outcomes"`
	Redials  int            `json:"redials"`
	Seconds  float64        `json:"seconds"`
	Rate     float64        `json:"calls_per_second"`
	P50      float64        `json:"p50_ms"`
	P99      float64        `json:"p99_ms"`
	Max      float64        `json:"max_ms"`
	// Examples has one detail for each outcome that is not right.
	Examples map[string]string `json:"examples,omitempty"`
}

func summarize(results []result, took time.Duration) summary {
	s := summary{Calls: len(results), Outcomes: map[string]int{}, Examples: map[string]string{}, Seconds: round(took.Seconds()),
		Rate: round(float64(len(results)) / took.Seconds())}
	times := make([]time.Duration, len(results))
	for i, r := range results {
		s.Outcomes[r.outcome]++
		s.Redials += r.dials
		times[i] = r.took
		if r.detail != "" {
			s.Examples[r.outcome] = r.id + ": " + r.detail
		}
	}
	s.Right, s.Wrong = s.Outcomes[right]+s.Outcomes[late], s.Outcomes[wrong]
	slices.Sort(times)
	at := func(share float64) float64 {
		if len(times) == 0 {
			return 0
		}
		return round(float64(times[int(share*float64(len(times)-1))]) / float64(time.Millisecond))
	}
	s.P50, s.P99, s.Max = at(0.5), at(0.99), at(1)
	return s
}

func round(f float64) float64 { return math.Round(f*10) / 10 }
