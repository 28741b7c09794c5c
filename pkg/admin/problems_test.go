package admin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/seal"
)

func TestProblemsNameTheNextStep(t *testing.T) {
	dir := t.TempDir()
	newest := "20261122T081400.000-0002--claims--x--id-d--1.jwe"
	for _, name := range []string{"20261121T081400.000-0001--claims--x--id-d--0.jwe", newest, "20261122T081500.000-0003--name--x--id-e--1.jwe"} {
		writeFile(t, filepath.Join(dir, "quarantine", name), "x", 0o600)
	}
	seen, next, failing, longAgo, old := at.Add(-131*time.Minute), at.Add(22*time.Minute), at.Add(-time.Minute), at.Add(-25*time.Hour), 7080.0
	files := func(r seal.Reason) *node.FileStats {
		return &node.FileStats{Quarantined: 12, RefusedRun: 12, LastReason: r, Refused: map[seal.Reason]uint64{r: 10, seal.Truncated: 2}}
	}
	st := &Status{Time: at, Running: true, StateDir: dir, DB: DB{FailingSince: &failing},
		Pipe: &Pipe{Outbox: "/x/out", Inbox: "/x/in", FreeBytes: 1 << 20, TotalBytes: 1 << 30, ScanError: "input/output error", Stuck: 2,
			Skipped: map[pipe.Reason]int{pipe.SkipOverflow: 7, pipe.SkipForeign: 3}},
		Peers: []Peer{
			{Name: "fine", State: StateOK, Files: &node.FileStats{}},
			{Name: "slow", State: StateLate, LastSeen: &seen, RTT: &RTT{Smoothed: 6000}, InFlight: InFlight{NextResend: &next},
				Outbox: Outbox{Messages: 41, Bytes: 18 << 20, OldestS: &old}},
			{Name: "new", State: StateNever},
			{Name: "keys", State: StateBlocked, Reason: "every file that came was refused: signature", Files: files(seal.Signature)},
			{Name: "odd", ID: "id-d", State: StateBlocked, Reason: "every file that came was refused: claims", Files: files(seal.Claims)},
			{Name: "twice", State: StateOK, InFlight: InFlight{Files: 4, Waiting: 3, WaitingSince: &seen}, LateS: 180,
				Events: Events{PeerBegan: &failing, PeerDoubled: &failing, SelfLost: &seen, SelfBehind: &longAgo}},
			{Name: "forged", ID: "id-none", State: StateOK, Files: files(seal.Signature), SetAside: 1, WriteError: "no room", Outbox: Outbox{Messages: 9, Full: true}},
		},
		Exchanges: &Exchanges{Day: map[string]int64{"uncertain": 1, "failed": 9}, Uncertain: []string{"the-id"}}}
	st.diagnose()
	want := []string{
		"critical store-failing : nothing can be stored for 1m, so nothing is accepted or acknowledged: free space on the disk of the state folder | " + diskCommand(dir),
		"critical inbox-unreadable : the inbox cannot be read: input/output error | " + listCommand("/x/in"),
		"warn outbox-low : the disk of the outbox has 1.0 MiB left | " + diskCommand("/x/out"),
		"critical inbox-crowded : 7 files of the inbox are not read, because more lie there than hoft keeps track of: remove what is older than a day | " + listCommand("/x/in"),
		"warn inbox-stuck : 2 handled files cannot be removed from the inbox | " + listCommand("/x/in"),
		"warn peer-late slow: nothing came for 2h11m, usual round trip 1h40m; 41 messages wait, the oldest for 1h58m; next resend in 22m | hoft status slow",
		"warn peer-never new: nothing has ever come; does the other side run, and the mover? | hoft keys verify new",
		"critical peer-blocked keys: every file that came was refused: signature | hoft keys verify keys",
		"critical peer-blocked odd: every file that came was refused: claims | hoft inspect " + filepath.Join(dir, "quarantine", newest),
		"warn mover-waits twice: 3 files have lain for 2h11m in the outbox and nobody takes them; does the mover run? | " + listCommand("/x/out"),
		"warn peer-doubled twice: 1m ago two lives of it were seen: a copy of it runs, or its state was set back; it has been told to begin anew | hoft status twice",
		"warn peer-began-anew twice: 1m ago it began anew: its state was lost, restored or doubled; calls that may not be made twice ended uncertain | hoft status twice",
		"warn state-lost twice: 2h11m ago the peer was found to know an earlier life of this site, whose state is gone; the link began anew | hoft status twice",
		"critical outbox-unwritable forged: files for it cannot be written: no room | " + listCommand("/x/out"),
		"warn files-refused forged: 12 files were refused since the start: 10 signature, 2 truncated | hoft status forged",
		"critical outbox-full forged: 9 messages wait, new calls are refused | hoft status forged",
		"warn set-aside forged: 1 message could not be handled; report this with the log | hoft explain set-aside",
		"warn calls-uncertain : 1 call ended in the last 24 hours with nobody knowing whether the server acted | hoft inspect the-id",
	}
	var got []string
	for _, p := range st.Problems {
		got = append(got, p.Level+" "+p.Code+" "+p.Peer+": "+p.Text+" | "+p.Hint)
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("problems:\n%s\nwant:\n%s", a, b)
	}
	if st.Healthy || st.Level() != LevelCritical {
		t.Errorf("healthy %v, level %s", st.Healthy, st.Level())
	}
}

func TestNoProblems(t *testing.T) {
	st := &Status{Time: at, Running: true, Peers: []Peer{{Name: "b", State: StateOK}, {Name: "c", State: StateWaiting}}, Exchanges: &Exchanges{Day: map[string]int64{"failed": 2}}}
	st.diagnose()
	if !st.Healthy || st.Level() != "" || st.Problems == nil {
		t.Errorf("%+v", st)
	}
}

// TestFilesOfStrangers: they are a sign where a peer is missed, and none where all is well.
func TestFilesOfStrangers(t *testing.T) {
	seen := at.Add(-time.Hour)
	st := &Status{Time: at, Running: true, Pipe: &Pipe{Skipped: map[pipe.Reason]int{pipe.SkipStranger: 3, pipe.SkipForeign: 9}},
		Peers: []Peer{{Name: "new", State: StateNever}, {Name: "slow", State: StateLate, LastSeen: &seen}, {Name: "fine", State: StateOK}}}
	st.diagnose()
	var got []string
	for _, p := range st.Problems {
		got = append(got, p.Code+": "+p.Text+" | "+p.Hint)
	}
	const sign = "but 3 files lie in the inbox for this site, of a site that is no peer: has the other side new keys, or another identity? | hoft keys verify "
	want := []string{"peer-never: nothing has ever come; " + sign + "new", "peer-late: nothing came for 1h; " + sign + "slow"}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("problems:\n%s\nwant:\n%s", a, b)
	}
}

func writeFile(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
