package vaultbehaviour

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/api"
)

func walkReads(w *walk) {
	w.does("a read answers the newest version with its metadata", func(w *walk) {
		w.write("app", "1")
		w.write("app", "2")
		a := w.send("GET", w.v2+"/data/app", nil)
		data := a.data(200)
		metadata := data["metadata"].(object)
		isTime(w, "created_time", metadata["created_time"])
		delete(metadata, "created_time")
		same(w.t, "data", data, object{"data": object{"n": "2"}, "metadata": object{
			"version": num("2"), "deletion_time": "", "destroyed": false, "custom_metadata": nil,
		}})
		same(w.t, "mount_type", a.object()["mount_type"], "kv")
	})
	w.does("a read of a version answers that one", func(w *walk) {
		w.write("old", "1")
		w.write("old", "2")
		same(w.t, "data", w.send("GET", w.v2+"/data/old?version=1", nil).data(200)["data"], object{"n": "1"})
		same(w.t, "data", w.send("GET", w.v2+"/data/old?version=0", nil).data(200)["data"], object{"n": "2"})
		same(w.t, "data", w.send("GET", w.v2+"/data/old?version=-5", nil).data(200)["data"], object{"n": "2"})
		w.send("GET", w.v2+"/data/old?version=3", nil).fails(404)
		w.send("GET", w.v2+"/data/old?version=x", nil).fails(400, `Field validation failed: error converting `+
			`input for field "version": cannot parse '' as int: strconv.ParseInt: parsing "x": invalid syntax`)
	})
	w.does("a key never written is 404 with an empty list of errors", func(w *walk) {
		w.send("GET", w.v2+"/data/never", nil).fails(404)
		w.send("GET", w.v2+"/metadata/never", nil).fails(404)
	})
	w.does("a key with nothing but metadata is 404, too", func(w *walk) {
		w.send("PUT", w.v2+"/metadata/only", object{"max_versions": 1}).empty(204)
		w.send("GET", w.v2+"/data/only", nil).fails(404)
	})
	w.does("numbers come back as 64 bit floating point has them", func(w *walk) {
		w.send("PUT", w.v2+"/data/numbers", `{"data":{"safe":9007199254740992,"large":9007199254740993,"real":1.50}}`).is(200)
		got := w.send("GET", w.v2+"/data/numbers", nil).data(200)["data"]
		same(w.t, "data", got, object{"safe": num("9007199254740992"), "large": num("9007199254740992"), "real": num("1.5")})
	})
	w.does("strings come back as they are", func(w *walk) {
		text := "<a href=\"x\">&amp;</a> \u00e4\u4e16\U0001f511 \\ \t\n\u0000"
		w.put("text", object{"s": text}).is(200)
		same(w.t, "data", w.send("GET", w.v2+"/data/text", nil).data(200)["data"], object{"s": text})
	})
	w.does("other parameters are ignored with a warning", func(w *walk) {
		w.write("query", "1")
		w.send("GET", w.v2+"/data/query?nonce=1", nil).is(200).warns("Endpoint ignored these unrecognized parameters: [nonce]")
	})
}

func walkDeletion(w *walk) {
	w.does("a deleted version is 404 with its metadata", func(w *walk) {
		w.write("soft", "1")
		w.send("DELETE", w.v2+"/data/soft", nil).empty(204)
		body := w.send("GET", w.v2+"/data/soft", nil).is(404).object()
		metadata := body["data"].(object)["metadata"].(object)
		isTime(w, "deletion_time", metadata["deletion_time"])
		delete(body, "request_id")
		delete(metadata, "created_time")
		delete(metadata, "deletion_time")
		same(w.t, "answer", body, object{
			"lease_id": "", "renewable": false, "lease_duration": num("0"), "wrap_info": nil, "warnings": nil,
			"auth": nil, "mount_type": "", "data": object{"data": nil, "metadata": object{
				"version": num("1"), "destroyed": false, "custom_metadata": nil,
			}},
		})
	})
	w.does("deleting what is deleted or was never there succeeds", func(w *walk) {
		w.send("DELETE", w.v2+"/data/never", nil).empty(204)
		w.send("DELETE", w.v2+"/metadata/never", nil).empty(204)
		w.write("twice", "1")
		w.send("DELETE", w.v2+"/data/twice", nil).empty(204)
		w.send("DELETE", w.v2+"/data/twice", nil).empty(204)
		for _, word := range []string{"delete", "undelete", "destroy"} {
			w.send("PUT", w.v2+"/"+word+"/never", object{"versions": []int{1}}).empty(204)
			w.send("PUT", w.v2+"/"+word+"/twice", object{"versions": []int{99}}).empty(204)
		}
	})
	w.does("a write after a delete makes the next version", func(w *walk) {
		w.write("again", "1")
		w.send("DELETE", w.v2+"/data/again", nil).empty(204)
		w.write("again", "2")
		same(w.t, "data", w.send("GET", w.v2+"/data/again?version=1", nil).data(404)["data"], nil)
	})
	w.does("versions are deleted, undeleted and destroyed by number", walkVersions)
	w.does("version numbers are required", func(w *walk) {
		for _, body := range []any{nil, object{}, object{"versions": []int{}}} {
			w.send("PUT", w.v2+"/delete/x", body).fails(400, "No version number provided")
			w.send("PUT", w.v2+"/undelete/x", body).fails(400, "No version number provided")
			w.send("PUT", w.v2+"/destroy/x", body).fails(400, "no version number provided")
		}
	})
	w.does("delete, undelete and destroy can only be written", func(w *walk) {
		for _, word := range []string{"delete", "undelete", "destroy"} {
			for _, method := range []string{"GET", "LIST", "DELETE", "PATCH"} {
				w.send(method, w.v2+"/"+word+"/x", nil).fails(405, oneError("unsupported operation"))
			}
		}
	})
	w.does("deleting the metadata removes all versions", func(w *walk) {
		w.write("all", "1")
		w.write("all", "2")
		w.send("DELETE", w.v2+"/metadata/all", nil).empty(204)
		w.send("GET", w.v2+"/data/all", nil).fails(404)
		w.send("GET", w.v2+"/metadata/all", nil).fails(404)
		w.write("all", "1")
	})
}

func walkVersions(w *walk) {
	w.write("v", "1")
	w.write("v", "2")
	w.write("v", "3")
	versions := func(list any) object { return object{"versions": list} }
	read := func(n string) answer { return w.send("GET", w.v2+"/data/v?version="+n, nil) }

	w.send("PUT", w.v2+"/delete/v", versions([]int{1, 2})).empty(204)
	read("1").is(404)
	read("2").is(404)
	read("3").is(200)
	w.send("POST", w.v2+"/undelete/v", versions("1,2")).empty(204)
	same(w.t, "data", read("1").data(200)["data"], object{"n": "1"})
	w.send("PUT", w.v2+"/destroy/v", versions([]string{"2", "3"})).empty(204)
	metadata := read("2").data(404)["metadata"].(object)
	same(w.t, "destroyed", metadata["destroyed"], true)
	same(w.t, "deletion_time", metadata["deletion_time"], "")
	w.send("PUT", w.v2+"/undelete/v", versions(2)).empty(204)
	read("2").is(404)
	read("1").is(200)
	read("").is(404)
}

// walkClient says how the official Go client shows these answers.
func walkClient(w *walk) {
	ctx := context.Background()
	kv := w.client.KVv2(w.v2)
	w.does("a version that was deleted is a secret without data", func(w *walk) {
		w.write("deleted", "1")
		if err := kv.Delete(ctx, "deleted"); err != nil {
			w.t.Fatal(err)
		}
		secret, err := kv.Get(ctx, "deleted")
		if err != nil {
			w.t.Fatal(err)
		}
		if secret.Data != nil || secret.VersionMetadata.Version != 1 || secret.VersionMetadata.DeletionTime.IsZero() {
			w.t.Errorf("got data %v, metadata %+v", secret.Data, secret.VersionMetadata)
		}
	})
	w.does("a key never written is ErrSecretNotFound", func(w *walk) {
		if _, err := kv.Get(ctx, "never"); !errors.Is(err, api.ErrSecretNotFound) {
			w.t.Errorf("error %v, want api.ErrSecretNotFound", err)
		}
	})
	w.does("so is one in a mount that is not there", func(w *walk) {
		if _, err := w.client.KVv2("no-such-mount").Get(ctx, "x"); !errors.Is(err, api.ErrSecretNotFound) {
			w.t.Errorf("error %v, want api.ErrSecretNotFound", err)
		}
	})
	w.does("a lost check-and-set is a ResponseError", func(w *walk) {
		w.write("cas", "1")
		_, err := kv.Put(ctx, "cas", object{"a": "b"}, api.WithCheckAndSet(7))
		var answer *api.ResponseError
		if !errors.As(err, &answer) {
			w.t.Fatalf("error %v, want an *api.ResponseError", err)
		}
		same(w.t, "status", answer.StatusCode, 400)
		same(w.t, "errors", answer.Errors, []string{casMismatch})
	})
	w.does("a list of nothing is nil", func(w *walk) {
		secret, err := w.client.Logical().ListWithContext(ctx, w.v2+"/metadata/nothing")
		if secret != nil || err != nil {
			w.t.Errorf("got %v, %v", secret, err)
		}
	})
	w.does("its patch of metadata is understood", func(w *walk) {
		w.write("meta", "1")
		err := kv.PatchMetadata(ctx, "meta", api.KVMetadataPatchInput{CustomMetadata: object{"owner": "ann"}})
		if err != nil {
			w.t.Fatal(err)
		}
		got, err := kv.GetMetadata(ctx, "meta")
		if err != nil {
			w.t.Fatal(err)
		}
		same(w.t, "custom metadata", got.CustomMetadata, object{"owner": "ann"})
	})
}
