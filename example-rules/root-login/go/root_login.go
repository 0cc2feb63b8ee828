// Who logs in to AWS as root.
package main

import "streamalert/sdk"

func init() {
	sdk.Add(sdk.Rule{
		Name:        "root_login",
		Description: "Somebody logged in as root.",
		Logs:        []string{"cloudtrail:events"},
		When: sdk.When{
			sdk.Equals("eventName", "ConsoleLogin"),
			sdk.Equals("userIdentity.type", "Root"),
		},
		Outputs:  []string{"file:security"},
		Severity: sdk.High,
	}, rootLogin)
}

func rootLogin(record *sdk.Record) bool {
	return record.Is("responseElements.ConsoleLogin", "Success")
}

func main() {}
