package demo

import (
	"strings"
	"testing"
	"time"
)

func TestParseFaults(t *testing.T) {
	for in, want := range map[string]Faults{
		"none":                         {},
		"drop=0.1":                     {Drop: 0.1},
		"drop=5%, truncate=0.9":        {Drop: 0.05, Truncate: 0.9},
		"delay=200ms":                  {DelayMax: 200 * time.Millisecond},
		"delay=50ms-2s,partial=0":      {DelayMin: 50 * time.Millisecond, DelayMax: 2 * time.Second},
		"duplicate=1e-2,reorder=0.125": {Duplicate: 0.01, Reorder: 0.125},
	} {
		got, err := ParseFaults(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", in, got, err, want)
		}
		if again, err := ParseFaults(got.String()); err != nil || again != got {
			t.Errorf("%q prints as %q, which reads as %+v, %v", in, got.String(), again, err)
		}
	}
	for _, level := range []string{"light", "heavy"} {
		f, err := ParseFaults(level)
		if again, err2 := ParseFaults(f.String()); err != nil || err2 != nil || again != f || f == (Faults{}) {
			t.Errorf("%s: %+v, %v, %v", level, f, err, err2)
		}
	}
}

func TestParseFaultsRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "neither none",
		"lots":                "neither none",
		"drpo=0.1":            "did you mean drop?",
		"fire=0.1":            "kinds are drop, truncate",
		"drop=1":              "between 0 and 0.9",
		"drop=-0.1":           "between 0 and 0.9",
		"drop=NaN":            "between 0 and 0.9",
		"drop=":               "between 0 and 0.9",
		"drop=95%":            "between 0 and 0.9",
		"drop=0.1,drop=0.2":   "twice",
		"delay=fast":          "delay=200ms",
		"delay=200ms-100ms":   "delay=200ms",
		"delay=-1s":           "delay=200ms",
		"delay=2h":            "up to 1m0s",
		"drop=0.1,,":          "neither none",
		"truncate=0.1;drop=1": "between 0 and 0.9",
	} {
		if f, err := ParseFaults(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", in, f, err, want)
		}
	}
}
