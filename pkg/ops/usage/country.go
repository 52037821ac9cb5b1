package usage

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"connexease-functions/pkg/whatsapp"
)

// CountryOf returns the country of a canonical contact: ISO 3166's two letters, 001 for numbers of
// no country, a + and the calling code where countries share it and the number does not say which;
// empty for what is neither a number nor a user id.
func CountryOf(contact string) string {
	if whatsapp.IsUserID(contact) {
		country, _, _ := strings.Cut(contact, ".")
		return country
	}
	if !whatsapp.IsPhone(contact) {
		return ""
	}
	number, err := phonenumbers.Parse("+"+contact, "")
	if err != nil {
		return ""
	}
	if region := phonenumbers.GetRegionCodeForNumber(number); region != "" && region != "ZZ" {
		return region
	}
	return "+" + strconv.Itoa(int(number.GetCountryCode()))
}
