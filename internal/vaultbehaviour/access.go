package vaultbehaviour

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/vault/api"
)

// limited returns a token that has nothing but the given policy, without the default one.
func (w *walk) limited(policy string) string {
	w.t.Helper()
	name := "behaviour-" + unique()
	w.send("PUT", "sys/policies/acl/"+name, object{"policy": policy}).empty(204)
	w.t.Cleanup(func() { w.send("DELETE", "sys/policies/acl/"+name, nil).empty(204) })
	return w.newToken(object{"policies": []string{name}, "no_default_policy": true, "ttl": "10m"})
}

func (w *walk) newToken(params object) string {
	w.t.Helper()
	auth, _ := w.send("POST", "auth/token/create", params).is(200).object()["auth"].(object)
	id, _ := auth["client_token"].(string)
	w.t.Cleanup(func() { w.send("POST", "auth/token/revoke", object{"token": id}).is(204) })
	return id
}

// one is a policy of one rule.
func one(path string, capabilities ...string) string {
	list := ""
	for i, c := range capabilities {
		if i > 0 {
			list += ", "
		}
		list += `"` + c + `"`
	}
	return `path "` + path + `" { capabilities = [` + list + "] }\n"
}

var denied = oneError("permission denied")

func walkPolicies(w *walk) {
	body := object{"data": object{"a": "b"}}
	w.does("without a rule there is no permission, to a path that does not exist either", func(w *walk) {
		token := w.limited(one("elsewhere/*", "read"))
		w.sendAs(token, "GET", w.v2+"/data/x", nil).fails(403, denied)
		w.sendAs(token, "PUT", w.v2+"/data/x", body).fails(403, denied)
		w.sendAs(token, "GET", "no-such-mount/x", nil).fails(403, denied)
	})
	w.does("the first write needs create, later ones update", func(w *walk) {
		create, update := w.limited(one(w.v2+"/data/*", "create")), w.limited(one(w.v2+"/data/*", "update"))
		w.sendAs(update, "PUT", w.v2+"/data/cu", body).fails(403, denied)
		w.sendAs(create, "PUT", w.v2+"/data/cu", body).is(200)
		w.sendAs(create, "PUT", w.v2+"/data/cu", body).fails(403, denied)
		w.sendAs(update, "PUT", w.v2+"/data/cu", body).is(200)
		w.send("DELETE", w.v2+"/data/cu", nil).empty(204)
		w.sendAs(create, "PUT", w.v2+"/data/cu", body).fails(403, denied) // deleted, it still exists
	})
	w.does("read, delete and patch are capabilities of their own", func(w *walk) {
		w.write("own", "1")
		read, patch := w.limited(one(w.v2+"/data/own", "read")), w.limited(one(w.v2+"/data/own", "patch"))
		w.sendAs(read, "GET", w.v2+"/data/own", nil).is(200)
		w.sendAs(read, "DELETE", w.v2+"/data/own", nil).fails(403, denied)
		w.sendAs(read, "PATCH", w.v2+"/data/own", body).fails(403, denied)
		w.sendAs(patch, "PATCH", w.v2+"/data/own", body).is(200)
		w.sendAs(patch, "GET", w.v2+"/data/own", nil).fails(403, denied)
	})
	w.does("delete, undelete and destroy by number need update", func(w *walk) {
		w.write("numbers", "1")
		token := w.limited(one(w.v2+"/destroy/*", "update") + one(w.v2+"/delete/*", "create"))
		w.sendAs(token, "PUT", w.v2+"/destroy/numbers", object{"versions": []int{1}}).empty(204)
		w.sendAs(token, "PUT", w.v2+"/delete/numbers", object{"versions": []int{1}}).fails(403, denied)
	})
	walkRules(w)
	w.does("policies are read, listed and deleted", walkPolicyPaths)
}

// walkRules is about which rule holds for a path.
func walkRules(w *walk) {
	w.does("a list needs list, on the folder with or without its slash", func(w *walk) {
		w.write("dir/key", "1")
		for _, path := range []string{"/metadata/dir/*", "/metadata/dir/", "/metadata/dir", "/metadata/d*"} {
			token := w.limited(one(w.v2+path, "list"))
			w.sendAs(token, "LIST", w.v2+"/metadata/dir", nil).is(200)
			w.sendAs(token, "GET", w.v2+"/metadata/dir/key", nil).fails(403, denied)
		}
	})
	w.does("a plus stands for one segment, a star at the end for anything", func(w *walk) {
		w.write("p/q/r", "1")
		token := w.limited(one(w.v2+"/data/+/q/*", "read"))
		w.sendAs(token, "GET", w.v2+"/data/p/q/r", nil).is(200)
		w.sendAs(token, "GET", w.v2+"/data/p/q", nil).fails(403, denied)
		w.sendAs(token, "GET", w.v2+"/data/p/x/r", nil).fails(403, denied)
	})
	w.does("the most specific rule counts alone, and deny wins on one path", func(w *walk) {
		w.write("s/open", "1")
		w.write("s/shut", "1")
		token := w.limited(one(w.v2+"/data/s/*", "read") + one(w.v2+"/data/s/shut", "deny", "read"))
		w.sendAs(token, "GET", w.v2+"/data/s/open", nil).is(200)
		w.sendAs(token, "GET", w.v2+"/data/s/shut", nil).fails(403, denied)
		weaker := w.limited(one(w.v2+"/data/*", "read") + one(w.v2+"/data/s/*", "update"))
		w.sendAs(weaker, "GET", w.v2+"/data/s/open", nil).fails(403, denied)
	})
	w.does("a policy can be in JSON", func(w *walk) {
		w.write("json", "1")
		token := w.limited(`{"path":{"` + w.v2 + `/data/json":{"capabilities":["read"]}}}`)
		w.sendAs(token, "GET", w.v2+"/data/json", nil).is(200)
	})
}

func walkPolicyPaths(w *walk) {
	name, text := "behaviour-"+unique(), one("some/path", "read")
	path := "sys/policies/acl/" + name
	w.send("GET", path, nil).fails(404)
	w.send("PUT", path, object{"policy": text}).empty(204)
	same(w.t, "policy", w.send("GET", path, nil).data(200), object{"name": name, "policy": text})
	keys, _ := w.send("LIST", "sys/policies/acl", nil).data(200)["keys"].([]any)
	for _, want := range []any{name, "default", "root"} {
		if !slices.Contains(keys, want) {
			w.t.Errorf("policies %v, want %v among them", keys, want)
		}
	}
	w.send("DELETE", path, nil).empty(204)
	w.send("DELETE", path, nil).empty(204)
	w.send("GET", path, nil).fails(404)
	w.send("PUT", path, object{}).fails(400, "'policy' parameter not supplied or empty")
	w.send("PUT", path, object{"policy": one("p", "fly")}).
		fails(400, `failed to parse policy: path "p": invalid capability "fly"`)
	w.send("PUT", "sys/policies/acl/root", object{"policy": text}).fails(400, `cannot update "root" policy`)
	w.send("DELETE", "sys/policies/acl/default", nil).fails(400, "cannot delete default policy")
}

func walkTokens(w *walk) {
	walkAuthentication(w)
	w.does("a token has the policies asked for, and default", walkTokenCreation)
	w.does("a token can look itself up", walkLookup)
	w.does("a token expires", func(w *walk) {
		token := w.newToken(object{"policies": []string{"default"}, "ttl": "1s"})
		w.sendAs(token, "GET", "auth/token/lookup-self", nil).is(200)
		time.Sleep(1500 * time.Millisecond)
		w.sendAs(token, "GET", "auth/token/lookup-self", nil).fails(403, invalidToken)
	})
	w.does("a token can be renewed", func(w *walk) {
		token := w.newToken(object{"policies": []string{"default"}, "ttl": "1h"})
		auth := w.sendAs(token, "POST", "auth/token/renew-self", object{"increment": 7200}).is(200).object()["auth"].(object)
		same(w.t, "lease_duration", auth["lease_duration"], num("7200"))
		same(w.t, "client_token", auth["client_token"], token)
		fixed := w.newToken(object{"policies": []string{"default"}, "ttl": "1h", "renewable": false})
		w.sendAs(fixed, "POST", "auth/token/renew-self", nil).fails(400, "lease is not renewable")
	})
	w.does("a token ends when it is revoked, and with it those that it made", walkRevocation)
	w.does("a token can be good for a number of requests", func(w *walk) {
		token := w.newToken(object{"policies": []string{"default"}, "num_uses": 2})
		w.sendAs(token, "GET", "auth/token/lookup-self", nil).is(200)
		w.sendAs(token, "GET", "auth/token/lookup-self", nil).is(200)
		w.sendAs(token, "GET", "auth/token/lookup-self", nil).fails(403, invalidToken)
	})
	w.does("a token gives no more than it has", func(w *walk) {
		token := w.limited(one("auth/token/create", "update"))
		w.sendAs(token, "POST", "auth/token/create", object{"policies": []string{"default"}}).
			fails(400, "child policies must be subset of parent")
	})
}

func walkAuthentication(w *walk) {
	w.does("a request without a token is denied", func(w *walk) {
		w.sendAs("", "GET", w.v2+"/data/x", nil).fails(403, "permission denied")
		w.sendAs("", "PUT", w.v2+"/data/x", object{"data": object{}}).fails(403, "permission denied")
		w.sendAs("", "GET", "no-such-mount/x", nil).fails(403, "permission denied")
	})
	w.does("a request with a token that does not exist is denied in other words", func(w *walk) {
		w.sendAs("hvs.nosuchtoken", "GET", w.v2+"/data/x", nil).fails(403, invalidToken)
		w.sendAs("nosuchtoken", "PUT", w.v2+"/data/x", object{"data": object{}}).fails(403, invalidToken)
	})
	w.does("a bearer token counts", func(w *walk) {
		w.write("bearer", "1")
		header := map[string][]string{"Authorization": {"Bearer " + w.token}}
		w.sendWith(header, "GET", w.v2+"/data/bearer", nil).is(200)
	})
}

func walkTokenCreation(w *walk) {
	body := w.send("POST", "auth/token/create", object{
		"policies": []string{"behaviour-b", "behaviour-a"}, "ttl": "1h", "display_name": "my app", "meta": object{"k": "v"},
	}).is(200).object()
	auth := body["auth"].(object)
	w.t.Cleanup(func() { w.send("POST", "auth/token/revoke", object{"token": auth["client_token"]}).empty(204) })
	policies := []any{"behaviour-a", "behaviour-b", "default"}
	for name, want := range (object{"policies": policies, "token_policies": policies, "metadata": object{"k": "v"},
		"lease_duration": num("3600"), "renewable": true, "token_type": "service", "orphan": false,
		"entity_id": "", "num_uses": num("0"), "mfa_requirement": nil}) {
		same(w.t, name, auth[name], want)
	}
	same(w.t, "data", body["data"], nil)
	same(w.t, "mount_type", body["mount_type"], "token")
	same(w.t, "warnings", body["warnings"],
		[]any{`Policy "behaviour-a" does not exist`, `Policy "behaviour-b" does not exist`})
}

func walkLookup(w *walk) {
	token := w.newToken(object{"policies": []string{"default"}, "ttl": "1h", "display_name": "my app"})
	a := w.sendAs(token, "GET", "auth/token/lookup-self", nil)
	data := a.data(200)
	if _, err := time.Parse(time.RFC3339, fmt.Sprint(data["expire_time"])); err != nil {
		w.t.Errorf("expire_time: %v", err)
	}
	for name, want := range (object{"id": token, "policies": []any{"default"}, "display_name": "token-my-app",
		"path": "auth/token/create", "meta": nil, "num_uses": num("0"), "orphan": false, "creation_ttl": num("3600"),
		"explicit_max_ttl": num("0"), "entity_id": "", "type": "service", "renewable": true}) {
		same(w.t, name, data[name], want)
	}
	same(w.t, "mount_type", a.object()["mount_type"], "token")
	w.send("POST", "auth/token/lookup", object{"token": token}).is(200)
	w.send("POST", "auth/token/lookup", object{"token": "nosuchtoken"}).fails(403, "bad token")
}

func walkRevocation(w *walk) {
	params := object{"policies": []string{"default"}, "ttl": "1h"}
	token := w.newToken(params)
	w.sendAs(token, "POST", "auth/token/revoke-self", nil).empty(204)
	w.sendAs(token, "GET", "auth/token/lookup-self", nil).fails(403, invalidToken)
	w.send("POST", "auth/token/lookup", object{"token": token}).fails(403, "bad token")

	parent := w.limited(one("auth/token/create", "update"))
	auth := w.sendAs(parent, "POST", "auth/token/create", nil).is(200).object()["auth"].(object)
	child, _ := auth["client_token"].(string)
	w.sendAs(child, "POST", "auth/token/create", nil).is(200)
	w.send("POST", "auth/token/revoke", object{"token": parent}).empty(204)
	w.sendAs(child, "POST", "auth/token/create", nil).fails(403, invalidToken)
	w.send("POST", "auth/token/revoke", object{}).fails(400, "missing token ID")
}

func walkMounts(w *walk) {
	w.does("the path of a mount is taken, above and below it too", func(w *walk) {
		for _, path := range []string{w.v2, w.v2 + "/below"} {
			w.send("POST", "sys/mounts/"+path, object{"type": "kv"}).fails(400, "path is already in use at "+w.v2+"/")
		}
	})
	w.does("a mount needs a type", func(w *walk) {
		w.send("POST", "sys/mounts/behaviour-"+unique(), object{}).fails(400, "backend type must be specified as a string")
	})
	w.does("kv is version 1 where nothing is said, kv-v2 is version 2", func(w *walk) {
		for kind, options := range map[string]object{"kv": {}, "kv-v2": {"version": "2"}} {
			path := "behaviour-" + unique()
			w.send("POST", "sys/mounts/"+path, object{"type": kind}).empty(204)
			got := w.send("GET", "sys/mounts/"+path, nil).data(200)
			same(w.t, "type", got["type"], "kv")
			same(w.t, "options", got["options"], options)
			w.send("DELETE", "sys/mounts/"+path, nil).empty(204)
		}
	})
	w.does("mounts are listed, within data and beside it", func(w *walk) {
		body := w.send("GET", "sys/mounts", nil).is(200).object()
		entry, _ := body[w.v2+"/"].(object)
		same(w.t, "options", entry["options"], object{"version": "2"})
		same(w.t, "the same in data", body["data"].(object)[w.v2+"/"], body[w.v2+"/"])
	})
	w.does("what was mounted goes with all that it held", func(w *walk) {
		w.send("GET", "sys/mounts/no-such-mount", nil).fails(400, "No secret engine mount at no-such-mount/")
		w.send("DELETE", "sys/mounts/no-such-mount", nil).empty(204)
		path := "behaviour-" + unique()
		w.send("POST", "sys/mounts/"+path, object{"type": "kv-v1"}).empty(204)
		w.send("PUT", path+"/x", object{"a": "b"}).empty(204)
		w.send("DELETE", "sys/mounts/"+path, nil).empty(204)
		w.send("GET", path+"/x", nil).fails(404, `no handler for route "`+path+`/x". route entry not found.`)
	})
}

func walkVisibleMounts(w *walk) {
	ask := func(token, path string) answer { return w.sendAs(token, "GET", "sys/internal/ui/mounts/"+path, nil) }
	refused := func(path string) string {
		return "preflight capability check returned 403, please ensure client's policies grant access to path \"" + path + "\""
	}
	w.does("the mount of a path is shown to whoever may do anything there", func(w *walk) {
		for _, policy := range []string{
			one(w.v2+"/data/deep/down/*", "read"), one(w.v2+"/*", "list"), one("+/data/x", "create"), one("b*", "read"),
		} {
			body := ask(w.limited(policy), w.v2+"/data/x").is(200).object()
			same(w.t, "mount_type", body["mount_type"], "")
			data := body["data"].(object)
			for name, want := range (object{"path": w.v2 + "/", "type": "kv", "options": object{"version": "2"}}) {
				same(w.t, name, data[name], want)
			}
		}
	})
	w.does("version 1 shows as such", func(w *walk) {
		same(w.t, "options", ask(w.token, w.v1).data(200)["options"], object{"version": "1"})
	})
	w.does("it is refused to others, as one that is not there", func(w *walk) {
		token := w.limited(one("elsewhere/*", "read") + one(w.v2+"/data/x", "deny"))
		ask(token, w.v2).fails(403, refused(w.v2+"/"))
		ask(token, "no-such-mount").fails(403, refused("no-such-mount/"))
		ask(w.token, "no-such-mount/x").fails(403, refused("no-such-mount/x/"))
	})
	w.does("it needs a token", func(w *walk) {
		ask("", w.v2).fails(403, "permission denied")
		ask("nosuchtoken", w.v2).fails(403, invalidToken)
	})
	w.does("the official client finds it", func(w *walk) {
		secret, err := w.client.Logical().Read("sys/internal/ui/mounts/" + w.v2)
		if err != nil {
			w.t.Fatal(err)
		}
		same(w.t, "path", secret.Data["path"], w.v2+"/")
		var mounts map[string]*api.MountOutput
		if mounts, err = w.client.Sys().ListMounts(); err != nil || mounts[w.v2+"/"] == nil {
			w.t.Errorf("ListMounts: %v, without %s/", err, w.v2)
		}
	})
}
