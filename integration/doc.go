// Package integration holds the stores against servers that are not this project's own.
//
//	go test ./...          # in this folder: Vault itself, started in the process
//
// Other servers are named by the environment, as their own tools want it:
//
//	VAULT_ADDR, VAULT_TOKEN            that Vault instead; the token must be one of root's
//	AWS_ENDPOINT_URL                   an emulator of AWS (or AWS_ENDPOINT_URL_SECRETS_MANAGER)
//	OAUTHSTORE_TEST_AWS=1              AWS itself, by the credentials and region of the environment
//	SECRET_MANAGER_EMULATOR_HOST       an emulator of Google Secret Manager, host:port
//	OAUTHSTORE_TEST_GOOGLE=1           Google itself, in GOOGLE_CLOUD_PROJECT, by the default credentials
//
// AWS and Google that nobody names are the test servers of this project: that shows that the tests here work,
// and no more. What a run makes on a server has a random prefix, oauthstore-test-…, and is removed at the end,
// also of a run that fails.
//
// The package is a module of its own, so that no server's dependencies get into a user's go.sum. It is built one
// way only, without the race detector, because Vault takes minutes to compile.
package integration
