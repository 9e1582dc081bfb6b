package oauthstore

import "fmt"

// A TokenChecker is a [TokenStore] that can say without a call to its service that it could not save a token.
type TokenChecker interface {
	// CheckToken returns the error with which SaveToken would refuse token whatever is stored: the error of [CheckSavable],
	// an [*InvalidTokenError] for an id that the store cannot keep, or [ErrRecordTooLarge] for fields that are larger
	// than the limit. A token that passes may still be refused once it is merged with the stored record.
	CheckToken(token *OAuthToken) error
}

// CheckToken asks the store's [TokenChecker], or [CheckSavable] if the store has none. Use it before something that
// cannot be done twice, such as sending an authorization code to the provider.
func CheckToken(store TokenStore, token *OAuthToken) error {
	if c, ok := store.(TokenChecker); ok {
		return c.CheckToken(token)
	}
	return CheckSavable(token)
}

// CheckSize returns an [ErrRecordTooLarge] if the fields that a save of token sets have more than limit bytes together.
// The record's document is larger than its fields, so a store can refuse such a token before it reads anything.
func CheckSize(token *OAuthToken, limit int) error {
	set, _ := (&Record{Token: OAuthToken{ID: token.ID}}).Merge(token)
	sum, largest := 0, textField{value: new(string)}
	for _, f := range set.Token.textFields() {
		if sum += len(*f.value); len(*f.value) > len(*largest.value) {
			largest = f
		}
	}
	if sum <= limit {
		return nil
	}
	return fmt.Errorf("%w: %s has %d bytes, all fields together %d, and %d fit", ErrRecordTooLarge,
		largest.name, len(*largest.value), sum, limit)
}
