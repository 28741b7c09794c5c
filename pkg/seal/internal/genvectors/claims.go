package main

import (
	"fmt"
	"strings"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

// claimsVectors are claims by themselves: what ParseClaims says of the body.
func claimsVectors() map[string]*vector {
	out := make(map[string]*vector)
	rkt := "UlVGkNCJ508l_5Rru6HzdnNcisHvKz7TexJg9c3L6U0"
	a, b := identity.ID{0xa}, identity.ID{0xb}
	right := func(idx, n int) string { return string(forge.Claims(a, b, rkt, forge.Seq(1), idx, n, 0)) }
	add := func(vec, comment, expect, body string) {
		v := &vector{body: []byte(body)}
		v.set("expect", "%s", expect)
		v.set("comment", "%s", comment)
		if out[vec] != nil {
			panic("two vectors are named " + vec)
		}
		out[vec] = v
	}
	for vec, c := range goodClaims(right) {
		add("ok-"+vec, c[0], "ok", c[1])
	}
	one := right(0, 1)
	for vec, c := range badClaims(a, b) {
		add(vec, c[0], "claims", swap(c[1], c[2])(one))
	}
	add("first-line-without-ack", "the first line needs last, ack and rx", "claims", swap(`"idx":1`, `"idx":0`)(right(1, 3)))
	add("not-an-object", "claims are an object", "claims", `[`+one+`]`)
	add("not-json", "claims are JSON", "claims", `v=1`)
	add("nothing", "claims are JSON", "claims", ``)
	add("trailing", "nothing stands behind the object", "claims", one+` 1`)
	add("deep", "arrays in arrays, twenty thousand deep", "claims", swap(`"data":{`, `"data":{"x":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`,`)(one))
	add("many-ranges", "more than 64 ranges in ooo", "claims", swap(`[[17,17],[20,31]]`, ranges(65))(one))
	add("ok-most-ranges", "64 ranges in ooo", "ok", swap(`[[17,17],[20,31]]`, ranges(64))(one))
	add("version-missing", "no version at all", "version", swap(`"v":1,`, ``)(one))
	add("version-2", "a later version", "version", swap(`"v":1`, `"v":2`)(one))
	add("version-2-new-members", "a later version with members unknown here", "version", swap(`"v":1`, `"v":2,"ek":"x"`)(one))
	return out
}

func ranges(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",[%d,%d]", 100+3*i, 101+3*i)
	}
	return "[" + b.String()[1:] + "]"
}

func goodClaims(right func(idx, n int) string) map[string][2]string {
	one := right(0, 1)
	msg := one[strings.Index(one, `,"msg":`):]
	return map[string][2]string{
		"one":           {"first and last line in one", one},
		"first":         {"first of three lines", right(0, 3)},
		"middle":        {"second of three lines: no last, ack, rx", right(1, 3)},
		"last":          {"last of three lines", right(2, 3)},
		"white-space":   {"JSON may have white space", strings.ReplaceAll(one, `,"`, ",\n \"")},
		"no-messages":   {"nothing but acks", strings.Replace(one, msg, "}", 1)},
		"hello":         {"the first word: caps, and no peer epoch yet", swap(msg, `,"caps":["req","res"]}`)(swap(`"pep":1763798300123`, `"pep":0`)(one))},
		"fork":          {"two copies of the site run", swap(msg, `,"fork":true}`)(one)},
		"unmet":         {"an earlier run of which nothing may have come", swap(`"AQIDAAAAAAA"]`, `"AQIDAAAAAAA"],"unmet":[[1763798400123000,20,"BAUGAAAAAAA"]]`)(one)},
		"rx-run":        {"the newest run of which a line was taken", swap(`"cut":[[41,1000]]`, `"cut":[[41,1000]],"run":"BAUGAAAAAAA"`)(one)},
		"unmet-no-ids":  {"an earlier run that gave no ids", swap(`"AQIDAAAAAAA"]`, `"AQIDAAAAAAA"],"unmet":[[1763798400123000,50,"BAUGAAAAAAA"]]`)(one)},
		"full":          {"no new range would be taken", swap(`"ooo":[[17,17],[20,31]]`, `"ooo":[[17,17],[20,31]],"full":true`)(one)},
		"no-body":       {"a message without a body", one[:strings.Index(one, `,"body"`)] + "}]}"},
		"unknown-kind":  {"an unknown kind is delivered, not refused", swap(`"kind":"req"`, `"kind":"later"`)(one)},
		"highest":       {"numbers at their bounds", swap(`"iat":1763798401`, `"iat":4398046511103`)(one)},
		"nothing-to-do": {"base is last + 1 when nothing is held", swap(msg, "}")(swap(`"base":90`, `"base":102`)(one))},
	}
}

// badClaims are changes of right claims, each by a comment, an old and a new text.
func badClaims(a, b identity.ID) map[string][3]string {
	const member, number, place = "exactly the known members", "numbers in their ranges", "what must agree"
	return map[string][3]string{
		"unknown-member":        {member, `{"v":1`, `{"v":1,"exp":1`},
		"unknown-member-nested": {member, `"contig":15`, `"contig":15,"x":1`},
		"unknown-member-msg":    {member, `"kind":"req"`, `"kind":"req","x":1`},
		"twice":                 {member, `"ep":`, `"ep":1,"ep":`},
		"twice-nested":          {member, `"top":42`, `"top":42,"top":42`},
		"twice-in-data":         {member, `"method":"GET"`, `"method":"GET","method":"GET"`},
		"case":                  {member, `"seq"`, `"Seq"`},
		"bad-utf8":              {"UTF-8 throughout", `"GET"`, "\"\xc3\x28\""},
		"lone-surrogate":        {"UTF-8 throughout", `"GET"`, `"\ud800"`},
		"no-peer-epoch":         {member, `"pep":1763798300123,`, ``},
		"no-idx":                {member, `"idx":0,`, ``},
		"no-iat":                {member, `"iat":1763798401,`, ``},
		"no-run":                {member, `"run":[1763798400123001,50,"AQIDAAAAAAA"],`, ``},
		"version-string":        {"types as they are", `"v":1`, `"v":"1"`},
		"iss-upper-case":        {"one spelling of an id", `"iss":"0a`, `"iss":"0A`},
		"iss-zero":              {"an id that names nobody", `"iss":"` + a.String(), `"iss":"` + identity.ID{}.String()},
		"iss-is-aud":            {"nobody writes to himself", `"iss":"` + a.String(), `"iss":"` + b.String()},
		"rkt-short":             {"rkt is a thumbprint", `_5Rru6HzdnNcisHvKz7TexJg9c3L6U0`, ``},
		"rkt-charset":           {"rkt is a thumbprint", `508l_5R`, `508l+5R`},
		"epoch-zero":            {number, `"ep":1763798400123`, `"ep":0`},
		"epoch-large":           {number, `"ep":1763798400123`, `"ep":4398046511104`},
		"epoch-fraction":        {number, `"ep":1763798400123`, `"ep":1763798400123.5`},
		"epoch-exponent":        {number, `"ep":1763798400123`, `"ep":1e12`},
		"epoch-string":          {"types as they are", `"ep":1763798400123`, `"ep":"1763798400123"`},
		"peer-epoch-large":      {number, `"pep":1763798300123`, `"pep":4398046511104`},
		"seq-below-epoch":       {"seq begins at ep x 1000", `"seq":1763798400123001`, `"seq":1763798400122999`},
		"seq-large":             {number, `"seq":1763798400123001`, `"seq":10000000000000000`},
		"seq-negative":          {number, `"seq":1763798400123001`, `"seq":-1`},
		"idx-negative":          {number, `"idx":0`, `"idx":-1`},
		"idx-large":             {number, `"idx":0`, `"idx":4096`},
		"iat-negative":          {number, `"iat":1763798401`, `"iat":-1`},
		"jti-short":             {"jti is 128 bits", `BI0VniQ"`, `BI0Vni"`},
		"jti-charset":           {"jti is 128 bits", `BI0VniQ"`, `BI0Vni="`},
		"run-two":               {"run is an array of three", `,50,"`, `,"`},
		"run-four":              {"run is an array of three", `,50,"`, `,50,50,"`},
		"run-random-short":      {"run has 64 random bits", `"AQIDAAAAAAA"`, `"AQIDAAAAAA"`},
		"run-spare-bits":        {"one spelling of base64url", `"AQIDAAAAAAA"`, `"AQIDAAAAAAB"`},
		"unmet-not-before":      {"unmet runs are before this one", `"base":90`, `"unmet":[[1763798400123001,20,"BAUGAAAAAAA"]],"base":90`},
		"unmet-higher-ids":      {"unmet runs are before this one", `"base":90`, `"unmet":[[1763798400123000,51,"BAUGAAAAAAA"]],"base":90`},
		"unmet-twice":           {"unmet runs are in their order", `"base":90`, `"unmet":[[1763798400123000,20,"BAUGAAAAAAA"],[1763798400123000,21,"BAUGAAAAAAA"]],"base":90`},
		"unmet-other-epoch":     {"unmet runs are of the epoch", `"base":90`, `"unmet":[[1763798400122999,20,"BAUGAAAAAAA"]],"base":90`},
		"unmet-id-zero":         {number, `"base":90`, `"unmet":[[1763798400123000,0,"BAUGAAAAAAA"]],"base":90`},
		"unmet-two":             {"an unmet run is an array of three", `"base":90`, `"unmet":[[1763798400123000,20]],"base":90`},
		"rx-run-short":          {"a run has 64 random bits", `"cut":[[41,1000]]`, `"cut":[[41,1000]],"run":"BAUGAAAAAA"`},
		"rx-run-number":         {"types as they are", `"cut":[[41,1000]]`, `"cut":[[41,1000]],"run":1`},
		"base-zero":             {number, `"base":90`, `"base":0`},
		"base-above-last":       {place, `"base":90`, `"base":103`},
		"last-alone":            {"last, ack and rx come together", `"last":101,`, ``},
		"last-large":            {number, `"last":101`, `"last":9007199254740992`},
		"message-above-last":    {place, `"last":101`, `"last":99`},
		"message-below-base":    {place, `"base":90`, `"base":101`},
		"message-zero":          {place, `"id":100`, `"id":0`},
		"message-string-id":     {"types as they are", `"id":100`, `"id":"100"`},
		"kind-empty":            {"a kind is a word", `"kind":"req"`, `"kind":""`},
		"kind-upper-case":       {"a kind is a word", `"kind":"req"`, `"kind":"REQ"`},
		"kind-long":             {"a kind is a word", `"kind":"req"`, `"kind":"abcdefghijklmnopq"`},
		"data-array":            {"data is an object", `"data":{"method":"GET","target":"/"}`, `"data":[]`},
		"data-missing":          {"data is an object", `"data":{"method":"GET","target":"/"},`, ``},
		"data-null":             {"data is an object", `"data":{"method":"GET","target":"/"}`, `"data":null`},
		"enc-unknown":           {"none or zstd", `"body":`, `"enc":"gzip","body":`},
		"enc-without-body":      {"a coding needs a body", `"body":"YSBib2R5"`, `"enc":"zstd"`},
		"body-padding":          {"one spelling of base64url", `YSBib2R5`, `YSBib2Q=`},
		"body-line-break":       {"one spelling of base64url", `YSBib2R5`, `YSBi\nb2R5`},
		"body-array":            {"types as they are", `"body":"YSBib2R5"`, `"body":[1]`},
		"ooo-reversed":          {"ranges ascend", `[17,17]`, `[18,17]`},
		"ooo-adjoining":         {"ranges do not adjoin", `[17,17],[20,31]`, `[17,19],[20,31]`},
		"ooo-descending":        {"ranges ascend", `[17,17],[20,31]`, `[20,31],[17,17]`},
		"ooo-below-contig":      {place, `"contig":15`, `"contig":16`},
		"ooo-three":             {"a range has two ends", `[17,17]`, `[17,17,17]`},
		"ooo-one":               {"a range has two ends", `[17,17]`, `[17]`},
		"seen-above-top":        {place, `"top":42`, `"top":41`},
		"dly-negative":          {number, `"dly":12`, `"dly":-1`},
		"cut-seq-large":         {number, `[41,1000]`, `[10000000000000000,1000]`},
		"cut-bytes-large":       {number, `[41,1000]`, `[41,9007199254740992]`},
		"cut-three":             {"a cut has two numbers", `[41,1000]`, `[41,1000,1]`},
		"caps-charset":          {"caps are words", `,"msg":`, `,"caps":["Req"],"msg":`},
		"caps-empty-word":       {"caps are words", `,"msg":`, `,"caps":[""],"msg":`},
		"fork-number":           {"types as they are", `,"msg":`, `,"fork":1,"msg":`},
	}
}
