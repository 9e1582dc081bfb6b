package vaultbehaviour

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

const casMismatch = "check-and-set parameter did not match the current version"

// put writes a version and returns its answer.
func (w *walk) put(key string, data object, options ...object) answer {
	w.t.Helper()
	body := object{"data": data}
	if len(options) > 0 {
		body["options"] = options[0]
	}
	return w.send("PUT", w.v2+"/data/"+key, body)
}

// write is put that must succeed as the version.
func (w *walk) write(key, version string) {
	w.t.Helper()
	got := w.put(key, object{"n": version}).data(200)
	same(w.t, "version of "+key, got["version"], num(version))
}

func walkWrites(w *walk) {
	w.does("a write answers the number and times of the version", func(w *walk) {
		a := w.put("first", object{"user": "ann"}).is(200)
		body := a.object()
		if id, _ := body["request_id"].(string); len(id) != 36 {
			w.t.Errorf("request_id %q, want a UUID", id)
		}
		data := body["data"].(object)
		isTime(w, "created_time", data["created_time"])
		delete(body, "request_id")
		delete(data, "created_time")
		same(w.t, "answer", body, object{
			"lease_id": "", "renewable": false, "lease_duration": num("0"), "wrap_info": nil, "warnings": nil,
			"auth": nil, "mount_type": "kv", "data": object{
				"version": num("1"), "deletion_time": "", "destroyed": false, "custom_metadata": nil,
			},
		})
		same(w.t, "Content-Type", a.header.Get("Content-Type"), "application/json")
		same(w.t, "Cache-Control", a.header.Get("Cache-Control"), "no-store")
	})
	w.does("POST writes as PUT does", func(w *walk) {
		w.send("POST", w.v2+"/data/posted", object{"data": object{"a": "b"}}).is(200)
		got := w.send("GET", w.v2+"/data/posted", nil).data(200)
		same(w.t, "data", got["data"], object{"a": "b"})
	})
	w.does("each write makes a version", func(w *walk) {
		w.write("thrice", "1")
		w.write("thrice", "2")
		w.write("thrice", "3")
	})
	walkWriteForms(w)
}

// walkWriteForms is about what the body of a write may be.
func walkWriteForms(w *walk) {
	w.does("data is required", func(w *walk) {
		for _, body := range []any{nil, "null", object{}, object{"options": object{"cas": 0}}} {
			w.send("PUT", w.v2+"/data/none", body).fails(400, "no data provided")
		}
	})
	w.does("data may be an empty object, or null", func(w *walk) {
		w.put("empty", object{}).is(200)
		same(w.t, "data", w.send("GET", w.v2+"/data/empty", nil).data(200)["data"], object{})
		w.put("empty", nil).is(200)
		same(w.t, "data", w.send("GET", w.v2+"/data/empty", nil).data(200)["data"], nil)
	})
	w.does("data and options must be objects", func(w *walk) {
		w.send("PUT", w.v2+"/data/x", object{"data": "text"}).
			fails(400, `error converting input for field "data": '' expected a map, got 'string'`)
		w.send("PUT", w.v2+"/data/x", object{"data": object{}, "options": "text"}).
			fails(400, `error converting input for field "options": '' expected a map, got 'string'`)
	})
	w.does("other parameters are ignored with a warning", func(w *walk) {
		a := w.send("PUT", w.v2+"/data/extra", object{"data": object{"a": "b"}, "version": 7, "zeta": 1, "alpha": 2})
		same(w.t, "version", a.data(200)["version"], num("1"))
		a.warns("Endpoint ignored these unrecognized parameters: [alpha zeta]")
	})
	w.does("a parameter path is replaced by that of the URL with a warning", func(w *walk) {
		a := w.send("PUT", w.v2+"/data/here", object{"data": object{}, "path": "there"})
		a.is(200).warns("Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [path]")
		w.send("GET", w.v2+"/data/there", nil).fails(404)
	})
	w.does("a body that is no JSON object is refused", func(w *walk) {
		w.send("PUT", w.v2+"/data/x", "text").
			fails(400, "error parsing JSON: failed to parse JSON input: invalid character 'e' in literal true (expecting 'r')")
		w.send("PUT", w.v2+"/data/x", "[1]").fails(400, "error parsing JSON: failed to parse JSON input: "+
			"json: cannot unmarshal array into Go value of type map[string]interface {}")
	})
}

func isTime(w *walk, what string, v any) time.Time {
	w.t.Helper()
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !strings.HasSuffix(text, "Z") {
		w.t.Errorf("%s is %v, want a time in UTC", what, v)
	}
	return at
}

func walkCheckAndSet(w *walk) {
	cas := func(n any) object { return object{"cas": n} }
	w.does("cas 0 writes only a key without versions", func(w *walk) {
		w.put("zero", object{"a": "1"}, cas(0)).is(200)
		w.put("zero", object{"a": "2"}, cas(0)).fails(400, casMismatch)
		same(w.t, "data", w.send("GET", w.v2+"/data/zero", nil).data(200)["data"], object{"a": "1"})
	})
	w.does("cas must be the number of the newest version", func(w *walk) {
		w.write("newest", "1")
		w.write("newest", "2")
		for _, n := range []any{0, 1, 3, -1, "1"} {
			w.put("newest", object{}, cas(n)).fails(400, casMismatch)
		}
		same(w.t, "version", w.put("newest", object{}, cas(2)).data(200)["version"], num("3"))
	})
	w.does("cas is converted to an integer where it can be", func(w *walk) {
		w.put("weak", object{}, cas(nil)).is(200)
		w.put("weak", object{}, cas("1")).is(200)
		w.put("weak", object{}, cas("two")).fails(400, "error parsing check-and-set parameter")
		w.put("weak", object{}, cas(2.5)).fails(400, "error parsing check-and-set parameter")
		w.put("weak", object{}, cas(object{})).fails(400, "error parsing check-and-set parameter")
		w.put("weak", object{}, object{}).is(200)
	})
	w.does("a deleted or destroyed version counts", func(w *walk) {
		w.write("gone", "1")
		w.send("DELETE", w.v2+"/data/gone", nil).empty(204)
		w.put("gone", object{}, cas(0)).fails(400, casMismatch)
		w.put("gone", object{}, cas(1)).is(200)
		w.send("PUT", w.v2+"/destroy/gone", object{"versions": []int{2}}).empty(204)
		w.put("gone", object{}, cas(0)).fails(400, casMismatch)
		w.put("gone", object{}, cas(2)).is(200)
	})
	w.does("cas 0 writes a key of which there is only metadata, or was", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/meta", object{"max_versions": 3}).empty(204)
		w.put("meta", object{}, cas(0)).is(200)
		w.send("DELETE", w.v2+"/metadata/meta", nil).empty(204)
		same(w.t, "version", w.put("meta", object{}, cas(0)).data(200)["version"], num("1"))
	})
	w.does("cas can be required of a key", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/strict", object{"cas_required": true}).empty(204)
		w.put("strict", object{}).fails(400, "check-and-set parameter required for this call")
		w.put("strict", object{}, cas(0)).is(200)
		w.send("PATCH", w.v2+"/data/strict", object{"data": object{"a": 1}}).
			fails(400, "check-and-set parameter required for this call")
	})
	w.does("of writers with one cas one wins", walkRace)
}

func walkRace(w *walk) {
	const writers = 16
	statuses := make([]int, writers)
	var group sync.WaitGroup
	for i := range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			statuses[i] = w.put("race", object{"writer": i}, object{"cas": 0}).status
		}()
	}
	group.Wait()
	won := 0
	for _, status := range statuses {
		switch status {
		case http.StatusOK:
			won++
		case http.StatusBadRequest:
		default:
			w.t.Errorf("status %d, want 200 or 400", status)
		}
	}
	same(w.t, "winners", won, 1)
	same(w.t, "current_version", w.send("GET", w.v2+"/metadata/race", nil).data(200)["current_version"], num("1"))
}

func walkPatches(w *walk) {
	w.does("a patch merges into the newest version and makes another", func(w *walk) {
		w.put("merge", object{"keep": "1", "drop": "2", "nest": object{"a": "1", "b": "2"}}).is(200)
		a := w.send("PATCH", w.v2+"/data/merge", object{"data": object{"drop": nil, "new": "3", "nest": object{"b": nil}}})
		same(w.t, "version", a.data(200)["version"], num("2"))
		got := w.send("GET", w.v2+"/data/merge", nil).data(200)["data"]
		same(w.t, "data", got, object{"keep": "1", "new": "3", "nest": object{"a": "1"}})
	})
	w.does("a patch can be on the condition of cas", func(w *walk) {
		w.write("cas", "1")
		body := object{"data": object{"a": "b"}, "options": object{"cas": 0}}
		w.send("PATCH", w.v2+"/data/cas", body).fails(400, casMismatch)
		body["options"] = object{"cas": 1}
		w.send("PATCH", w.v2+"/data/cas", body).is(200)
	})
	w.does("a patch needs a version that is there", func(w *walk) {
		body := object{"data": object{"a": "b"}}
		w.send("PATCH", w.v2+"/data/never", body).empty(404)
		w.write("deleted", "1")
		w.send("DELETE", w.v2+"/data/deleted", nil).empty(204)
		same(w.t, "version", w.send("PATCH", w.v2+"/data/deleted", body).data(404)["version"], num("1"))
		w.send("PATCH", w.v2+"/data/deleted", object{}).fails(400, "no data provided")
	})
	w.does("a patch must say that it is a merge patch", func(w *walk) {
		w.write("type", "1")
		header := http.Header{"X-Vault-Token": {w.token}}
		w.sendWith(header, "PATCH", w.v2+"/data/type", object{"data": object{}}).fails(400, "mime: no media type")
		header.Set("Content-Type", "application/json")
		w.sendWith(header, "PATCH", w.v2+"/data/type", object{"data": object{}}).fails(415,
			"PATCH requires Content-Type of application/merge-patch+json, provided application/json")
	})
}
