# Does all that a store can do. For one at the mount "secret" with the prefix "oauthstore".

path "secret/data/oauthstore/*" {
  capabilities = ["read", "update"]
}

# A new secret is made by its metadata: it keeps one version, so that superseded credentials do not stay.
# "update" is for one whose first save died after that. With WithMaxVersions(0) and without custom metadata this
# is not needed, and "create" on the data is. "list" is for Repair.
path "secret/metadata/oauthstore/*" {
  capabilities = ["create", "update", "list"]
}

path "secret/destroy/oauthstore/*" {
  capabilities = ["update"]
}

# Tells of delete_version_after before a token is lost to it. Without this the answer to the first write tells.
path "secret/config" {
  capabilities = ["read"]
}
