package exchange

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

func TestFieldsCrossAsTheyAre(t *testing.T) {
	in := Fields{{"A", "1"}, {"a", "two \"quoted\" \\"}, {"A", ""}, {"Latin", "caf\xe9"}, {"Utf", "café"}}
	js, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `[["A","1"],["a","two \"quoted\" \\"],["A",""],["Latin","Y2Fm6Q","b64"],["Utf","café"]]`
	if string(js) != want {
		t.Errorf("got  %s\nwant %s", js, want)
	}
	var out Fields
	if err := json.Unmarshal(js, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Error(diff)
	}
}

func TestFieldsThatAreRefused(t *testing.T) {
	for _, s := range []string{`["A","1"]`, `[["A"]]`, `[["A",1]]`, `[["A","1","x"]]`, `[["A","!","b64"]]`, `[["A","1","b64","x"]]`, `[{"A":"1"}]`, `[[]]`, `[["A",["b"]]]`} {
		var f Fields
		if err := json.Unmarshal([]byte(s), &f); err == nil {
			t.Errorf("%s: read as %v", s, f)
		}
	}
}

// FuzzRequest: whatever decodes encodes to something that decodes to the same.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"exchange":"01a202f8-de0f-786c-bf9c-99c5f0e7c08e","oep":1,"attempt":1,"upstream":"orders","method":"GET","target":"/","scheme":"http","host":"h","fields":[["A","1"]],"length":0,"at":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode[reqData](data)
		if err != nil {
			return
		}
		js, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode[reqData](js)
		if err != nil {
			t.Fatalf("%s: %v", js, err)
		}
		js2, err := json.Marshal(again)
		if err != nil || string(js) != string(js2) {
			t.Fatalf("%s\n%s\n%v", js, js2, err)
		}
	})
}

// FuzzMessageData: what any kind of message may carry is refused, or means the same after it was written again.
func FuzzMessageData(f *testing.F) {
	const id = `"exchange":"01a202f8-de0f-786c-bf9c-99c5f0e7c08e"`
	f.Add([]byte(`{` + id + `,"attempt":1001,"status":200,"fields":[["A","1"]],"length":3,"more":true,"callee":{"addr":"a:1","ms":3}}`))
	f.Add([]byte(`{` + id + `,"attempt":1001,"status":0,"fields":[],"length":0,"problem":{"code":"denied","detail":"no"}}`))
	f.Add([]byte(`{` + id + `,"attempt":1001,"offset":40960,"total":50000,"trailers":[["T","\u00ff"]]}`))
	f.Add([]byte(`{` + id + `,"attempt":0,"reason":"upload broken off"}`))
	f.Add([]byte(`{` + id + `,"stage":"calling","at":1763798400123}`))
	f.Add([]byte(`{` + id + `,"attempt":1001,"offset":1048576}`))
	f.Add([]byte(`{` + id + `}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sameAgain[resData](t, data)
		sameAgain[bodyData](t, data)
		sameAgain[abortData](t, data)
		sameAgain[cancelData](t, data)
		sameAgain[stageData](t, data)
		sameAgain[winData](t, data)
		_, _ = peekExchange(data)
		if s := parseStages(data); s != parseStages(s.json()) {
			t.Fatalf("%s: other stages when they were written again", data)
		}
	})
}

func sameAgain[T any](t *testing.T, data []byte) {
	v, err := decode[T](data)
	if err != nil {
		return
	}
	js, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decode[T](js)
	if err != nil {
		t.Fatalf("%s: %v", js, err)
	}
	if js2, err := json.Marshal(again); err != nil || string(js) != string(js2) {
		t.Fatalf("%s\n%s\n%v", js, js2, err)
	}
}
