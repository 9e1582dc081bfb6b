// Package awssmtest is AWS Secrets Manager for tests: an HTTP server on the local machine that
// speaks the service's own protocol to the official client.
//
//	srv := awssmtest.NewServer()
//	defer srv.Close()
//	client := srv.Client()
//	client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
//		Name:         aws.String("oauth/alice"),
//		SecretString: aws.String("{}"),
//	})
//	srv.Secrets()                            // what is stored, with every version
//	srv.Advance(31 * 24 * time.Hour)         // recovery windows and quotas follow the clock
//	srv.Inject(testserver.Fault{…})          // the next request goes wrong
//	srv.Count("PutSecretValue")              // what it cost
//
// It is written from the service's documentation (the API reference, the user guide, the doc
// comments of the SDK, the constraints in the SDK's API model), and refuses what the service
// refuses, with its error types and, as far as they are known, its texts.
//
// # What is emulated
//
// CreateSecret, GetSecretValue, BatchGetSecretValue, PutSecretValue, UpdateSecret,
// UpdateSecretVersionStage, DescribeSecret, ListSecrets, ListSecretVersionIds, DeleteSecret,
// RestoreSecret, TagResource, UntagResource, ReplicateSecretToRegions and
// RemoveRegionsFromReplication, in one account and one Region: versions and staging labels, the
// request token that becomes the version's id, the quota of about 100 versions that are younger
// than a day, the removal of older ones, recovery windows, forced deletion that takes a moment,
// ARNs that differ between a secret and its namesake of before, partial ARNs, paging, filters,
// size and character limits. Stale reads and a list that lags are options.
//
// # What is not
//
//   - Signatures are not verified; a request must only carry one of the right form and scope.
//   - IAM, KMS and resource policies: everything is permitted ([testserver.Deny] excepted), and any
//     string is a KMS key. [Server.Actions] tells which permissions were used.
//   - Rotation, managed external secrets, replica secrets in their own Regions (a replica is a
//     status of its primary here), and the operations not named above, which are answered with
//     UnknownOperationException.
//   - Request rates, the number of secrets in an account, and the characters that tags may have.
//   - What emulators of others do otherwise, but for [WithEmulatorQuirks].
//   - What is eventual is so after a fixed time, to keep tests repeatable: the order of a batch is
//     the only thing that is left to chance.
package awssmtest
