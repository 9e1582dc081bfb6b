# Finds, lists, saves and deletes tokens. For a store at the mount "secret" with the prefix "oauthstore".

path "secret/data/oauthstore/*" {
  capabilities = ["read", "update"]
}

# A new secret is made by its metadata: it keeps one version, so that superseded credentials do not stay.
path "secret/metadata/oauthstore/*" {
  capabilities = ["create", "update"]
}

path "secret/destroy/oauthstore/*" {
  capabilities = ["update"]
}
