package vaultbehaviour

import (
	"fmt"
	"strings"
)

func walkCustomMetadata(w *walk) {
	const failed = "custom_metadata validation failed: "
	put := func(key string, custom any) answer {
		return w.send("PUT", w.v2+"/metadata/"+key, object{"custom_metadata": custom})
	}
	w.does("custom metadata comes with every answer about the key", func(w *walk) {
		put("all", object{"owner": "ann", "rank": 1}).empty(204)
		want := object{"owner": "ann", "rank": "1"}
		same(w.t, "write", w.put("all", object{}).data(200)["custom_metadata"], want)
		same(w.t, "read", w.send("GET", w.v2+"/data/all", nil).data(200)["metadata"].(object)["custom_metadata"], want)
		same(w.t, "metadata", w.metadata("all")["custom_metadata"], want)
	})
	w.does("a write replaces it, a patch merges it", func(w *walk) {
		put("both", object{"a": "1", "b": "2"}).empty(204)
		w.send("PATCH", w.v2+"/metadata/both", object{"custom_metadata": object{"a": nil, "c": "3"}}).empty(204)
		same(w.t, "patched", w.metadata("both")["custom_metadata"], object{"b": "2", "c": "3"})
		put("both", object{"d": "4"}).empty(204)
		same(w.t, "written", w.metadata("both")["custom_metadata"], object{"d": "4"})
		put("both", object{}).empty(204)
		same(w.t, "emptied", w.metadata("both")["custom_metadata"], nil)
	})
	w.does("there are at most 64 keys", func(w *walk) {
		custom := object{}
		for i := range 64 {
			custom[fmt.Sprint("k", i)] = "v"
		}
		put("many", custom).empty(204)
		custom["more"] = "v"
		put("many", custom).fails(400, oneError(failed+"payload must contain at most 64 keys, provided 65"))
	})
	w.does("keys have 1 to 128 bytes, values 1 to 512", func(w *walk) {
		put("sizes", object{strings.Repeat("k", 128): strings.Repeat("v", 512)}).empty(204)
		long := strings.Repeat("k", 129)
		put("sizes", object{long: "v"}).
			fails(400, oneError(failed+`length of key "`+long+`" is 129 but must be 0 < len(key) <= 128`))
		put("sizes", object{"k": strings.Repeat("v", 513)}).
			fails(400, oneError(failed+`length of value for key "k" is 513 but must be 0 < len(value) <= 512`))
		put("sizes", object{"k": ""}).
			fails(400, oneError(failed+`length of value for key "k" is 0 but must be 0 < len(value) <= 512`))
	})
	w.does("they are printable", func(w *walk) {
		put("print", object{"k": "a\tb"}).fails(400, oneError(failed+`value for key "k" contains unprintable characters`))
		put("print", object{"a\nb": "v"}).
			fails(400, oneError(failed+"key \"a\\nb\" (a\nb) contains unprintable characters"))
	})
	w.does("a refused write changes nothing", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/atomic", object{"max_versions": 3, "custom_metadata": object{"k": ""}}).is(400)
		w.send("GET", w.v2+"/metadata/atomic", nil).fails(404)
	})
}

func walkPaths(w *walk) {
	w.does("a path that is not the engine's is 404 with a hint", func(w *walk) {
		for method, word := range map[string]string{"GET": "get", "PUT": "put", "DELETE": "delete", "LIST": "list", "PATCH": "patch"} {
			a := w.send(method, w.v2+"/app", nil).is(404)
			same(w.t, "mount_type", a.object()["mount_type"], "")
			a.warns("Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API " +
				"endpoints to use. If using the Vault CLI, use 'vault kv " + word + "' for this operation.")
		}
	})
	w.does("the words of the API are no keys by themselves", func(w *walk) {
		for _, word := range []string{"data", "metadata", "delete", "undelete", "destroy"} {
			w.send("GET", w.v2+"/"+word, nil).is(404).
				warns("Non-listing operations on the root of a K/V v2 mount are not supported.")
		}
	})
	w.does("a write to a path with a slash at the end is refused", func(w *walk) {
		for _, method := range []string{"PUT", "POST", "PATCH"} {
			w.send(method, w.v2+"/data/x/", object{"data": object{}}).fails(400, "cannot write to a path ending in '/'")
		}
	})
	w.does("a read of data with a slash at the end finds no such path, of metadata the key", func(w *walk) {
		w.write("slash", "1")
		w.send("GET", w.v2+"/data/slash/", nil).is(404)
		same(w.t, "current_version", w.metadata("slash/")["current_version"], num("1"))
	})
	w.does("a path that is not clean is redirected", func(w *walk) {
		for _, path := range []string{"/data/a//b", "/data/a/./b", "/data/a/x/../b"} {
			a := w.send("GET", w.v2+path, nil)
			if a.status != 301 && a.status != 307 {
				w.t.Errorf("GET %s: status %d, want a redirect", path, a.status)
			}
			same(w.t, "Location", a.header.Get("Location"), "/v1/"+w.v2+"/data/a/b")
		}
	})
	w.does("a path with a character that cannot be printed is refused", func(w *walk) {
		w.send("GET", w.v2+"/data/a%01b", nil).empty(400)
		w.send("GET", w.v2+"/data/a%C2%A0b", nil).empty(400)
	})
	w.does("all other characters make different keys", func(w *walk) {
		for i, key := range []string{"a%20b", "a%25b", "a%3Fb", "a%23b", "a+b", "a&b=c", "A", "a", "%C3%A4", "..a", "*"} {
			w.put(key, object{"i": i}).is(200)
		}
		same(w.t, "keys", w.send("LIST", w.v2+"/metadata", nil).data(200)["keys"],
			[]any{"*", "..a", "A", "a", "a b", "a#b", "a%b", "a&b=c", "a+b", "a?b", "slash", "\u00e4"})
	})
	w.does("PUT of an unknown path in sys is 404", func(w *walk) {
		w.send("PUT", "sys/nothing-of-that-name", object{}).fails(404, oneError("unsupported path"))
	})
	w.does("a path without a mount is 404", func(w *walk) {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			w.send(method, "no-such-mount/data/x", nil).
				fails(404, `no handler for route "no-such-mount/data/x". route entry not found.`)
		}
		w.send("LIST", "no-such-mount/metadata", nil).
			fails(404, `no handler for route "no-such-mount/metadata/". route entry not found.`)
	})
}
