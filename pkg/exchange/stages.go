package exchange

import (
	"encoding/json"
	"time"
)

// stageNames are the stages in order, and behind them what is kept with their times.
var stageNames = [...]string{StageAccepted, StageQueued, StageWritten, StageArrived, StageCalling, StageAnswered, StageReturned, StageCanceling}

// stageTimes holds when each stage was reached, unix milliseconds, 0 for not yet. An array and no map: a site may
// have a hundred thousand calls that wait.
type stageTimes [len(stageNames)]int64

// stageIndex gives the place of a stage, -1 for none.
func stageIndex(stage string) int {
	for i, name := range stageNames {
		if name == stage {
			return i
		}
	}
	return -1
}

// set notes when a stage was reached; it says whether that was new.
func (t *stageTimes) set(stage string, at time.Time) bool {
	i := stageIndex(stage)
	if i < 0 || t[i] != 0 {
		return false
	}
	t[i] = at.UnixMilli()
	return true
}

// fix notes a time that is known better than what was noted.
func (t *stageTimes) fix(stage string, ms int64) {
	if i := stageIndex(stage); i >= 0 && ms != 0 {
		t[i] = ms
	}
}

// last gives the last stage that was reached; a wish to cancel is none.
func (t *stageTimes) last() string {
	for i := stageIndex(StageReturned); i > 0; i-- {
		if t[i] != 0 {
			return stageNames[i]
		}
	}
	return StageAccepted
}

func (t *stageTimes) json() []byte {
	m := make(map[string]int64, len(t))
	for i, ms := range t {
		if ms != 0 {
			m[stageNames[i]] = ms
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // a map of numbers always encodes
	}
	return b
}

// parseStages reads what json wrote; what is no such thing gives no times.
func parseStages(b []byte) (t stageTimes) {
	var m map[string]int64
	if json.Unmarshal(b, &m) != nil {
		return t
	}
	for stage, ms := range m {
		t.fix(stage, ms)
	}
	return t
}

func (t *stageTimes) times() map[string]time.Time {
	out := make(map[string]time.Time, len(t))
	for i, ms := range t {
		if ms != 0 {
			out[stageNames[i]] = time.UnixMilli(ms)
		}
	}
	return out
}
