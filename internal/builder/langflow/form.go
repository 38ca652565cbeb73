package langflow

import "sluice/internal/builder"

// form holds Langflow's own words for the page that connects it.
var form = builder.AccountForm{
	SecretName: "LANGFLOW_SECRET_KEY",
	SecretHint: "As in Langflow's environment, or the file secret_key in its LANGFLOW_CONFIG_DIR. " +
		"Kept encrypted and never shown.",
	SuperuserHint: "LANGFLOW_SUPERUSER: creates the accounts.",
	TrustNote:     "Langflow before 1.10 does not know these settings.",
	Command: func(upstream string) string {
		return "LANGFLOW_SECRET_KEY=… LANGFLOW_SUPERUSER=… LANGFLOW_SUPERUSER_PASSWORD=… " +
			"sluice serve --protect " + name + "=" + upstream
	},
}
