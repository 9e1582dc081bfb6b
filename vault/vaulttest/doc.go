// Package vaulttest is a server for tests that speaks the HTTP API of HashiCorp Vault: the KV
// secrets engine in both versions, and of the rest what a client of KV meets: mounts, ACL
// policies, tokens, health. It holds everything in memory, follows a clock that the test moves,
// logs every request and fails where it is told to (package testserver).
//
//	srv := vaulttest.NewServer()
//	defer srv.Close()
//
//	kv := srv.Client().KVv2("secret") // the official client, with the root token
//	_, err := kv.Put(ctx, "app", data, api.WithCheckAndSet(0))
//
// It starts as "vault server -dev" does: unsealed, with a KV v2 engine at secret/ and a root token.
// What a test wants in addition, it asks for through the official client: other mounts
// (Sys().Mount), policies (Sys().PutPolicy), tokens (Auth().Token().Create).
//
// Behaviour, status codes and texts are those of Vault 1.21 Community with its integrated storage.
// Package behaviour holds them as a test that runs on this server and on a real one alike.
//
// # The log
//
// A [testserver.Request] names its operation by the method and the API path up to the key:
// "GET data", "PUT data", "PATCH data", "DELETE data", "PUT delete", "PUT undelete",
// "PUT destroy", "GET metadata", "LIST metadata", "GET config", and so on, or "GET invalid" where
// KV v2 has nothing at the path. On a KV v1 mount there is nothing between mount and key, so these
// are "GET kv1", "PUT kv1", "LIST kv1", "DELETE kv1".
// Elsewhere it is the path: "GET sys/internal/ui/mounts", "PUT sys/mounts",
// "PUT sys/policies/acl", "PUT auth/token/create", "GET sys/health". POST counts as PUT, which
// Vault treats alike, and a GET with list=true as LIST. Request.Secret is the key below the mount,
// without the word data or metadata.
//
// Faults become Vault's own answers: Throttle is 429 "rate limit quota exceeded", Deny is 403
// "permission denied", FailBefore and FailAfter are 500 "internal error".
//
// # What is not emulated
//
//   - Other secrets engines, auth methods other than tokens, identity entities and groups, batch
//     tokens, token roles and accessors, leases, response wrapping (refused with 400), audit
//     devices, quotas other than by [testserver.Throttle], the UI.
//   - KV: subkeys, recovery from snapshots, leased v1 mounts, and the upgrade of a v1 mount to v2
//     (its error can be had by [Server.SetUpgrading]). Of the settings of a mount only
//     options.version and description have an effect, and there is no tuning.
//   - Policies: parameter constraints, wrapping limits, control groups, MFA and templates. A
//     policy that uses one of the first four is refused, so that none is ignored in silence.
//   - High availability: there is one active node, reads see every write, and there are no
//     X-Vault-Index states. Sealing is a switch, [Server.SetSealed]; there are no unseal keys.
//   - Namespaces, an Enterprise feature, are plain separate trees, see [WithNamespaces].
//   - TLS, HEAD and OPTIONS on API paths, form-encoded bodies.
package vaulttest
