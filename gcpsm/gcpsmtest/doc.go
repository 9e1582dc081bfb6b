// Package gcpsmtest is a Google Secret Manager to test against: a gRPC server on 127.0.0.1 that
// keeps its secrets in memory and answers the official Go client as the service documents it. It
// needs no network, no credentials and no project.
//
//	srv := gcpsmtest.NewServer()
//	defer srv.Close()
//	client, err := srv.Client(ctx)
//	… use client as in production, under any project id …
//	srv.Inject(testserver.Fault{Op: "AddSecretVersion", Kind: testserver.FailAfter})
//	… the next version is added, and its answer is an internal error …
//	srv.Count("AddSecretVersion")
//
// Somebody else who edits the same secrets, in the console say, is a second [Server.Client].
//
// # What it does
//
// All methods of the service but the three for IAM policies, for global secrets
// (projects/P/secrets/S) and regional ones (projects/P/locations/L/secrets/S): versions and their
// states, latest and aliases, etags, delayed destruction, expiration, customer-managed encryption
// keys as far as they are metadata, checksums, filters, paging, and the documented limits. Names
// in answers carry the project's number, see [ProjectNumber]; requests may use the id or the
// number. What follows the clock follows [testserver.Control.Advance]: expire_time, the scheduled
// destruction of versions, quotas and staleness.
//
// A listing whose request names no page size gets pages of 100; the service does not say how many
// it sends, and a client that never saw a second page is not tested.
//
// # Consistency
//
// By default a change is visible at once, everywhere. The service promises that only for a version
// that is accessed by its number; [WithStaleness] shows what that means for a client, and
// [WithLaggingLatest] the least that it can mean.
//
// # Errors
//
// Errors reach the client as they do from the service: [google.golang.org/grpc/status.Code] and
// *apierror.APIError both work on them. Texts are the service's own where they are known, but only
// codes are a contract. A fault that a test orders becomes:
//
//   - FailBefore and FailAfter: Internal, "Internal error encountered."
//   - Throttle: ResourceExhausted, as with a quota that is used up
//   - Deny: PermissionDenied, with the permission and the resource
//   - DropAfter: Unavailable, which is what gRPC makes of a connection that breaks
//   - Hang and HangAfter: no answer until the caller's context ends, which is then DeadlineExceeded
//     or Canceled; Unavailable where the server closes first
//
// The official client sends AccessSecretVersion again, and no other method, on Unavailable and
// ResourceExhausted, after a pause of up to two seconds that doubles each time; a test that wants
// to see the error empties client.CallOptions.AccessSecretVersion.
//
// # What is not emulated
//
//   - IAM: SetIamPolicy, GetIamPolicy and TestIamPermissions answer Unimplemented, and nobody is
//     refused, credentials or none; [Server.Permissions] says what a real caller would need.
//   - The service's REST interface, and ListLocations and GetLocation, which are another service.
//   - Pub/Sub and rotation: topics and rotation are checked, stored and shown, but nothing is sent
//     and next_rotation_time does not move. Tags are accepted and forgotten.
//   - Encryption: a key is checked for its form and shown; [Server.DisableKey] is all that can happen to it.
//   - Regions: one server answers for all locations, and a global endpoint for regional secrets too.
//   - In filters, functions and the bare words that would search all fields.
//   - The minimum and maximum of expire_time beyond that it lies ahead; quotas that the service
//     calls soft are hard here.
package gcpsmtest
