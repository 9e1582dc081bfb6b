package vaultbehaviour

func walkKV1(w *walk) {
	w.does("a write answers 204, a read the data with a lifetime for caches", func(w *walk) {
		w.send("PUT", w.v1+"/app", object{"user": "ann"}).empty(204)
		body := w.send("GET", w.v1+"/app", nil).is(200).object()
		delete(body, "request_id")
		same(w.t, "answer", body, object{
			"lease_id": "", "renewable": false, "lease_duration": num("2764800"), "wrap_info": nil, "warnings": nil,
			"auth": nil, "mount_type": "kv", "data": object{"user": "ann"},
		})
	})
	w.does("the lifetime can be said in the data", func(w *walk) {
		w.send("PUT", w.v1+"/ttl", object{"ttl": "1h"}).empty(204)
		same(w.t, "lease_duration", w.send("GET", w.v1+"/ttl", nil).object()["lease_duration"], num("3600"))
	})
	w.does("the last write wins", func(w *walk) {
		w.send("PUT", w.v1+"/last", object{"a": "1", "b": "2"}).empty(204)
		w.send("POST", w.v1+"/last", object{"a": "3"}).empty(204)
		same(w.t, "data", w.send("GET", w.v1+"/last", nil).data(200), object{"a": "3"})
	})
	w.does("numbers come back as they were written", func(w *walk) {
		w.send("PUT", w.v1+"/numbers", `{"large":9007199254740993,"real":1.50}`).empty(204)
		same(w.t, "data", w.send("GET", w.v1+"/numbers", nil).data(200),
			object{"large": num("9007199254740993"), "real": num("1.50")})
	})
	w.does("a write of KV v2's form takes effect under a key data/…, on no condition", func(w *walk) {
		w.send("PUT", w.v1+"/data/x", object{"data": object{"a": "1"}, "options": object{"cas": 0}}).empty(204)
		w.send("PUT", w.v1+"/data/x", object{"data": object{"a": "2"}, "options": object{"cas": 0}}).empty(204)
		same(w.t, "data", w.send("GET", w.v1+"/data/x", nil).data(200),
			object{"data": object{"a": "2"}, "options": object{"cas": num("0")}})
		same(w.t, "keys", w.send("LIST", w.v1+"/data", nil).data(200), object{"keys": []any{"x"}})
	})
	walkKV1Paths(w)
}

// walkKV1Paths is about what is not there, or is not only one key.
func walkKV1Paths(w *walk) {
	w.does("a write needs data", func(w *walk) {
		w.send("PUT", w.v1+"/none", nil).fails(400, "missing data fields")
		w.send("PUT", w.v1+"/none", object{}).fails(400, "missing data fields")
		w.send("PUT", w.v1, object{"a": "b"}).fails(400, "missing path")
	})
	w.does("what is not there is 404, and can be deleted", func(w *walk) {
		w.send("GET", w.v1+"/never", nil).fails(404)
		w.send("LIST", w.v1+"/never", nil).fails(404)
		w.send("DELETE", w.v1+"/never", nil).empty(204)
	})
	w.does("a delete is for good", func(w *walk) {
		w.send("PUT", w.v1+"/gone", object{"a": "b"}).empty(204)
		w.send("DELETE", w.v1+"/gone", nil).empty(204)
		w.send("GET", w.v1+"/gone", nil).fails(404)
	})
	w.does("a list shows one level, sorted, folders with a slash", func(w *walk) {
		for _, key := range []string{"list/b", "list/a/1", "list/a"} {
			w.send("PUT", w.v1+"/"+key, object{"x": "y"}).empty(204)
		}
		same(w.t, "keys", w.send("LIST", w.v1+"/list", nil).data(200), object{"keys": []any{"a", "a/", "b"}})
		same(w.t, "keys", w.send("GET", w.v1+"/list?list=true", nil).data(200), object{"keys": []any{"a", "a/", "b"}})
	})
	w.does("keys with two dots in a row are refused", func(w *walk) {
		w.send("GET", w.v1+"/a..b", nil).fails(400, oneError("read failed: relative paths not supported"))
		w.send("DELETE", w.v1+"/a..b", nil).fails(400, oneError("relative paths not supported"))
		w.send("PUT", w.v1+"/a..b", object{"a": "b"}).fails(500, oneError("internal error"))
	})
	w.does("there is no patch", func(w *walk) {
		w.send("PATCH", w.v1+"/app", object{"a": "b"}).fails(405, oneError("unsupported operation"))
	})
}
