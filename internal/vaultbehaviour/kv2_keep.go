package vaultbehaviour

import (
	"strconv"
	"time"
)

// metadata reads the metadata of a key.
func (w *walk) metadata(key string) object {
	w.t.Helper()
	return w.send("GET", w.v2+"/metadata/"+key, nil).data(200)
}

// numbers are the version numbers that the metadata of a key lists.
func (w *walk) numbers(key string) map[string]bool {
	w.t.Helper()
	found := make(map[string]bool)
	versions, _ := w.metadata(key)["versions"].(object)
	for n := range versions {
		found[n] = true
	}
	return found
}

func (w *walk) writeMany(key string, from, to int) {
	w.t.Helper()
	for n := from; n <= to; n++ {
		w.write(key, strconv.Itoa(n))
	}
}

func walkRetention(w *walk) {
	w.does("ten versions are kept where nothing else is said", func(w *walk) {
		w.writeMany("ten", 1, 9)
		same(w.t, "oldest_version", w.metadata("ten")["oldest_version"], num("0"))
		w.writeMany("ten", 10, 11)
		same(w.t, "oldest_version", w.metadata("ten")["oldest_version"], num("2"))
		same(w.t, "versions", len(w.numbers("ten")), 10)
		w.send("GET", w.v2+"/data/ten?version=1", nil).fails(404)
	})
	w.does("max_versions of the key holds, from the next write on", func(w *walk) {
		w.writeMany("two", 1, 3)
		w.send("PUT", w.v2+"/metadata/two", object{"max_versions": 2}).empty(204)
		same(w.t, "versions", len(w.numbers("two")), 3)
		w.writeMany("two", 4, 4)
		same(w.t, "versions", w.numbers("two"), map[string]bool{"3": true, "4": true})
	})
	w.does("of max_versions of key and mount the larger holds", func(w *walk) {
		w.send("PUT", w.v2+"/config", object{"max_versions": 3}).empty(204)
		w.send("PUT", w.v2+"/metadata/small", object{"max_versions": 1}).empty(204)
		w.send("PUT", w.v2+"/metadata/large", object{"max_versions": 4}).empty(204)
		w.writeMany("small", 1, 6)
		w.writeMany("large", 1, 6)
		same(w.t, "versions", len(w.numbers("small")), 3)
		same(w.t, "versions", len(w.numbers("large")), 4)
	})
}

func walkDeletionByTime(w *walk) {
	lifetime := func(w *walk, key string) time.Duration {
		w.t.Helper()
		data := w.put(key, object{}).data(200)
		if data["deletion_time"] == "" {
			return 0
		}
		return isTime(w, "deletion_time", data["deletion_time"]).Sub(isTime(w, "created_time", data["created_time"]))
	}
	w.does("delete_version_after of the key deletes a version by time", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/brief", object{"delete_version_after": "1s"}).empty(204)
		same(w.t, "lifetime", lifetime(w, "brief"), time.Second)
		w.send("GET", w.v2+"/data/brief", nil).is(200)
		time.Sleep(1100 * time.Millisecond)
		w.send("GET", w.v2+"/data/brief", nil).is(404)
		w.put("brief", object{}, object{"cas": 0}).fails(400, casMismatch)
		w.put("brief", object{}, object{"cas": 1}).is(200)
	})
	w.does("of delete_version_after of key and mount the shorter holds", func(w *walk) {
		w.send("PUT", w.v2+"/config", object{"delete_version_after": "1h"}).empty(204)
		same(w.t, "lifetime", lifetime(w, "mount"), time.Hour)
		w.send("PUT", w.v2+"/metadata/short", object{"delete_version_after": 60}).empty(204)
		w.send("PUT", w.v2+"/metadata/long", object{"delete_version_after": "2h"}).empty(204)
		same(w.t, "lifetime", lifetime(w, "short"), time.Minute)
		same(w.t, "lifetime", lifetime(w, "long"), time.Hour)
	})
	w.does("a negative delete_version_after of the mount turns it off for all keys", func(w *walk) {
		w.send("PUT", w.v2+"/config", object{"delete_version_after": "-5s"}).empty(204)
		same(w.t, "lifetime", lifetime(w, "short"), time.Duration(0))
		got := w.send("GET", w.v2+"/config", nil).data(200)["delete_version_after"]
		same(w.t, "delete_version_after", got, "-1s")
	})
	w.does("undelete gives a version its lifetime anew", func(w *walk) {
		w.send("PUT", w.v2+"/config", object{"delete_version_after": 0}).empty(204)
		w.send("PUT", w.v2+"/metadata/anew", object{"delete_version_after": "1h"}).empty(204)
		w.write("anew", "1")
		w.send("DELETE", w.v2+"/data/anew", nil).empty(204)
		w.send("PUT", w.v2+"/undelete/anew", object{"versions": []int{1}}).empty(204)
		got := w.send("GET", w.v2+"/data/anew", nil).data(200)["metadata"].(object)
		if left := time.Until(isTime(w, "deletion_time", got["deletion_time"])); left < 50*time.Minute {
			w.t.Errorf("deleted in %v, want about an hour", left)
		}
	})
}

func walkMetadata(w *walk) {
	w.does("metadata tells about the key and its versions", func(w *walk) {
		w.write("full", "1")
		w.write("full", "2")
		w.send("PUT", w.v2+"/delete/full", object{"versions": []int{1}}).empty(204)
		got := w.metadata("full")
		versions := got["versions"].(object)
		first, second := versions["1"].(object), versions["2"].(object)
		isTime(w, "deletion_time", first["deletion_time"])
		same(w.t, "created_by of 1", first["created_by"].(object)["operation"], "create")
		same(w.t, "deleted_by of 1", first["deleted_by"].(object)["operation"], "update")
		same(w.t, "created_by of 2", second["created_by"].(object)["operation"], "update")
		same(w.t, "deleted_by of 2", second["deleted_by"], nil)
		same(w.t, "last_updated_by", got["last_updated_by"].(object)["operation"], "update")
		isTime(w, "created_time", got["created_time"])
		isTime(w, "updated_time", got["updated_time"])
		for _, name := range []string{"versions", "last_updated_by", "created_time", "updated_time"} {
			delete(got, name)
		}
		same(w.t, "metadata", got, object{
			"current_version": num("2"), "oldest_version": num("0"), "max_versions": num("0"), "cas_required": false,
			"delete_version_after": "0s", "custom_metadata": nil,
		})
	})
	w.does("writing metadata makes a key without versions", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/bare", object{"max_versions": 7, "cas_required": true,
			"delete_version_after": "3h25m19s", "custom_metadata": object{"a": "b"}}).empty(204)
		got := w.metadata("bare")
		for name, want := range (object{"current_version": num("0"), "max_versions": num("7"), "cas_required": true,
			"delete_version_after": "3h25m19s", "custom_metadata": object{"a": "b"}, "versions": object{}}) {
			same(w.t, name, got[name], want)
		}
	})
	w.does("a write changes only what it names", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/part", object{"max_versions": 7}).empty(204)
		w.send("POST", w.v2+"/metadata/part", object{"cas_required": true}).empty(204)
		same(w.t, "max_versions", w.metadata("part")["max_versions"], num("7"))
	})
	w.does("a write that names nothing does nothing", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/nothing", object{"unknown": 1}).empty(204)
		w.send("GET", w.v2+"/metadata/nothing", nil).fails(404)
	})
	w.does("a patch needs the key", func(w *walk) {
		w.send("PATCH", w.v2+"/metadata/never", object{"max_versions": 1}).empty(404)
		w.write("patched", "1")
		w.send("PATCH", w.v2+"/metadata/patched", object{"max_versions": 5}).empty(204)
		same(w.t, "max_versions", w.metadata("patched")["max_versions"], num("5"))
	})
	w.does("a lifetime cannot be negative", func(w *walk) {
		text := `error converting input for field "delete_version_after": cannot provide negative value '-1'`
		w.send("PUT", w.v2+"/metadata/x", object{"delete_version_after": "-1s"}).fails(400, text)
		w.send("PATCH", w.v2+"/metadata/x", object{"delete_version_after": "-1s"}).fails(400, "Field validation failed: "+text)
	})
}

func walkLists(w *walk) {
	for _, key := range []string{"b", "a/1", "a/2/x", "a", "c/d/e"} {
		w.write(key, "1")
	}
	list := func(path string) answer { return w.send("LIST", w.v2+"/metadata/"+path, nil) }
	w.does("a list shows one level, sorted, folders with a slash", func(w *walk) {
		same(w.t, "keys", list("").data(200), object{"keys": []any{"a", "a/", "b", "c/"}})
		same(w.t, "keys", list("a").data(200), object{"keys": []any{"1", "2/"}})
		same(w.t, "keys", list("a/").data(200), object{"keys": []any{"1", "2/"}})
	})
	w.does("GET with list=true lists", func(w *walk) {
		same(w.t, "keys", w.send("GET", w.v2+"/metadata/c?list=true", nil).data(200), object{"keys": []any{"d/"}})
		same(w.t, "keys", w.send("GET", w.v2+"/metadata?list=1", nil).data(200)["keys"], []any{"a", "a/", "b", "c/"})
		w.send("GET", w.v2+"/metadata/c?list=maybe", nil).fails(400)
	})
	w.does("a list of nothing is 404", func(w *walk) {
		list("b").fails(404)
		list("nowhere/").fails(404)
	})
	w.does("keys whose versions are deleted stay listed, unless asked otherwise", func(w *walk) {
		w.send("DELETE", w.v2+"/data/b", nil).empty(204)
		same(w.t, "keys", list("").data(200)["keys"], []any{"a", "a/", "b", "c/"})
		same(w.t, "keys", list("?exclude_deleted=true").data(200)["keys"], []any{"a", "a/", "c/"})
		w.send("PUT", w.v2+"/destroy/b", object{"versions": []int{1}}).empty(204)
		same(w.t, "keys", list("").data(200)["keys"], []any{"a", "a/", "b", "c/"})
	})
	w.does("keys whose metadata is deleted do not, and empty folders go", func(w *walk) {
		w.send("DELETE", w.v2+"/metadata/b", nil).empty(204)
		w.send("DELETE", w.v2+"/metadata/c/d/e", nil).empty(204)
		same(w.t, "keys", list("").data(200)["keys"], []any{"a", "a/"})
	})
}

func walkConfig(w *walk) {
	w.does("a new engine is configured with zeros", func(w *walk) {
		same(w.t, "config", w.send("GET", w.v2+"/config", nil).data(200),
			object{"max_versions": num("0"), "cas_required": false, "delete_version_after": "0s"})
	})
	w.does("a write changes what it names", func(w *walk) {
		w.send("POST", w.v2+"/config", object{"max_versions": 5, "delete_version_after": 90}).empty(204)
		w.send("PUT", w.v2+"/config", object{"cas_required": "true"}).empty(204)
		w.send("PUT", w.v2+"/config", nil).empty(204)
		same(w.t, "config", w.send("GET", w.v2+"/config", nil).data(200),
			object{"max_versions": num("5"), "cas_required": true, "delete_version_after": "1m30s"})
	})
	w.does("cas_required of the engine holds for all keys", func(w *walk) {
		w.put("any", object{}).fails(400, "check-and-set parameter required for this call")
		a := w.send("PUT", w.v2+"/metadata/any", object{"cas_required": false})
		a.is(200).warns(`"cas_required" set to false, but is mandated by backend config. This value will be ignored.`)
	})
	w.does("values must be of their types", func(w *walk) {
		w.send("PUT", w.v2+"/config", object{"max_versions": "many"}).fails(400, `Field validation failed: error converting `+
			`input for field "max_versions": cannot parse '' as int: strconv.ParseInt: parsing "many": invalid syntax`)
	})
	w.does("it can be read and written, no more", func(w *walk) {
		for _, method := range []string{"DELETE", "PATCH"} {
			w.send(method, w.v2+"/config", nil).fails(405, oneError("unsupported operation"))
		}
	})
}
