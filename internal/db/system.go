package db

// housekeeping lists every write that authz.Gate does not decide, by name, with the reason why no
// policy decides it. Audit entries about such a write are written in the same transaction
// (authz.Gate.Record).
var housekeeping = map[string]string{
	// Writes that keep the database in order.
	"old changes":  "The change feed forgets what every node has seen.",
	"old mail":     "Mail that was delivered or given up long ago is removed.",
	"old sessions": "Sessions and links that have expired are removed.",
	"old attempts": "Abandoned sign-in attempts are removed.",
	"old keys":     "API keys that expired or were revoked long ago are removed.",
	"old secrets":  "Keys that nothing is sealed or signed with any more are removed.",

	// Writes about traffic that was already decided.
	"session uses":      "When a session was last used counts against its idle limit.",
	"key uses":          "When and from where an API key was last used is shown to its owner.",
	"key limits":        "Nodes share the rate limit of an API key by reserving parts of it.",
	"app last asked":    "When a reverse proxy last request about an app shows whether it is set up.",
	"ownership":         "The builder has made the change already; the request for it was authorized.",
	"runs":              "A run that was authorized is remembered with its flow and the person who started it.",
	"builder accounts":  "The bridge creates the builder's accounts for people who are let in.",
	"credential copies": "A copy whose creation or rotation the Gate authorized has reached the builder.",
	"adoption":          "That an app's objects have been given to a workspace is noted once; the Gate decided it.",
	"mail delivery":     "Mail in the outbox is claimed, delivered, postponed or given up.",

	// Things that a start of the program creates.
	"first workspace": "The default workspace exists before anyone could create it.",
	"first secrets":   "Secrets are created where the operator gave none.",
	"given secrets":   "Secrets that the operator gave are put in use.",
	"signing keys": "The key that signs assertions is created and replaced on schedule, or by a rotation that " +
		"was decided.",
	"resealing":         "Values are sealed with the current key, without a change of what they say.",
	"configured people": "The operator names them in the configuration.",
	"setup link":        "Reading the server's output is the proof; the link works until there is an admin.",
	"first admin":       "The setup link decides, and works once.",

	// Steps of signing in. The principal is not known yet, and the proof decides.
	"guess counters": "Guesses are counted before the person is known.",
	"guess warning":  "A person gets one mail that someone who knows their password guesses codes.",
	"attempts": "The steps of an attempt, and of a ceremony with a passkey or a provider, wait for the " +
		"browser.",
	"one-time codes":    "A code counts once.",
	"sign-in":           "The proof decides; the session and its entry are written together.",
	"sessions":          "A sign-in that was proven gets its session.",
	"session cookies":   "A session gets a cookie on the origin of each app, through a code that works once.",
	"session workspace": "A person chooses in which of their workspaces a session works.",
	"refresh tokens":    "A refresh token decides, and works once.",
	"step-up":           "A proof that was repeated counts for its session.",
	"password upgrade":  "The hash of the same password is made stronger.",
	"links": "Links go to the address they are about, and replace earlier ones; receiving the mail is " +
		"the proof.",
	"verified address":    "The link in the mail decides, and works once.",
	"sign-up":             "The configuration lets people create their own accounts.",
	"accepted invitation": "The invitation decides, and works once; the Gate decided who was invited.",
	"provider accounts":   "A provider that an admin trusts vouches for the person.",
	"provider groups":     "Roles follow the provider's groups as an admin mapped them.",
	"provider sign-out":   "The provider's signed token decides.",
}
