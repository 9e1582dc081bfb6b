# Finds and lists tokens. For a store at the mount "secret" with the prefix "oauthstore".

path "secret/data/oauthstore/*" {
  capabilities = ["read"]
}
