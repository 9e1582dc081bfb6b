// Package integration holds the stores against servers that are not this project's own. The tests of Vault are here,
// the tests of AWS and Google in cloud/.
//
//	go test .              # in this folder: Vault itself, started in the process
//	go test ./cloud        # AWS and Google, which compiles in a minute
//
// Other servers are named by the environment, as their own tools want it:
//
//	VAULT_ADDR, VAULT_TOKEN            that Vault instead; the token must be one of root's
//	AWS_ENDPOINT_URL                   an emulator of AWS (or AWS_ENDPOINT_URL_SECRETS_MANAGER)
//	OAUTHSTORE_TEST_AWS=1              AWS itself, by the credentials and region of the environment
//	SECRET_MANAGER_EMULATOR_HOST       an emulator of Google Secret Manager, host:port
//	OAUTHSTORE_TEST_GOOGLE=1           Google itself, in GOOGLE_CLOUD_PROJECT, by the default credentials
//
// If AWS or Google is not named, the test server of this project takes its place. That shows that the tests here
// work, and no more. Google's can be made as slow as the service:
//
//	OAUTHSTORE_TEST_GOOGLE_LAG=300ms   reads show a change that long after it, those by version number at once
//	OAUTHSTORE_TEST_GOOGLE_QUOTAS=1    a project takes 600 writes a minute, a secret two a second
//
// The contract of several processes (storetest.RunShared) is not run on AWS and Google themselves, nor with the lag: they
// show a write late to other clients.
//
// The tests of Google wait for what a lagging service does not show yet, up to five minutes, and send a throttled
// request again until it is accepted. With the quotas they take some twenty minutes.
//
// What a run makes on a server has a random prefix, oauthstore-test-…, and is removed at the end, also of a run that
// fails.
//
// The package is a module of its own, so that no server's dependencies get into a user's go.sum. It is built one
// way only, without the race detector, because Vault takes minutes to compile.
package integration
