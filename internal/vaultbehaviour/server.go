package vaultbehaviour

import (
	"fmt"
	"strings"
)

func walkLimits(w *walk) {
	put := func(body string) answer { return w.send("PUT", w.v2+"/data/limits", body) }
	w.does("a string in JSON has at most 1 MiB", func(w *walk) {
		put(`{"data":{"a":"`+strings.Repeat("x", 1<<20+1)+`"}}`).fails(500, "JSON string value exceeds allowed length")
	})
	w.does("JSON is at most 300 levels deep", func(w *walk) {
		nested := func(n int) string { return strings.Repeat(`{"data":`, n) + "{}" + strings.Repeat("}", n) }
		put(nested(299)).is(200)
		put(nested(300)).fails(500, "JSON input exceeds allowed nesting depth")
	})
	w.does("an object has at most 10000 entries, an array as many elements", func(w *walk) {
		var members strings.Builder
		for i := range 10001 {
			fmt.Fprintf(&members, `"k%d":1,`, i)
		}
		put(`{"data":{`+strings.TrimSuffix(members.String(), ",")+`}}`).fails(500, "JSON object exceeds allowed entry count")
		elements := strings.TrimSuffix(strings.Repeat("1,", 10001), ",")
		put(`{"data":{"a":[`+elements+`]}}`).fails(500, "JSON array exceeds allowed element count")
	})
	w.does("JSON that names a key twice or ends early is refused as an internal error", func(w *walk) {
		put(`{"data":{"a":1,"a":2}}`).fails(500, "duplicate key 'a' in object")
		put(`{"data":{"a":1}`).fails(500, "malformed JSON, unclosed containers")
		put(`{"data":{"a":"x`).fails(500, "malformed JSON, unclosed string")
		put(`{"data":{"a":1,}}`).fails(500, "invalid character '}' after object key-value pair")
		put(`{"data":{}} {}`).fails(500, "invalid character '{' after top-level value")
	})
	w.does("a request has at most 32 MiB", func(w *walk) {
		part := strings.Repeat("x", 1<<20)
		var body strings.Builder
		body.WriteString(`{"data":{"k":"v"`)
		for i := 0; body.Len() <= 32<<20; i++ {
			fmt.Fprintf(&body, `,"k%d":"%s"`, i, part)
		}
		a := put(body.String()[:32<<20+100])
		a.fails(413, "http: request body too large")
	})
}

func walkHealth(w *walk) {
	w.does("an active node is healthy", func(w *walk) {
		body := w.sendAs("", "GET", "sys/health", nil).is(200).object()
		for name, want := range (object{"initialized": true, "sealed": false, "standby": false}) {
			same(w.t, name, body[name], want)
		}
	})
	w.does("the status can be chosen", func(w *walk) {
		w.sendAs("", "GET", "sys/health?activecode=299", nil).is(299)
	})
	w.does("a method that there is not is refused", func(w *walk) {
		w.sendAs("", "PUT", "sys/health", nil).fails(405)
	})
	w.does("the seal's status needs no token", func(w *walk) {
		same(w.t, "sealed", w.sendAs("", "GET", "sys/seal-status", nil).is(200).object()["sealed"], false)
	})
}
