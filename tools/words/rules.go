package main

import "regexp"

// rule is one phrase or construction that texts do not use.
type rule struct {
	name    string
	pattern *regexp.Regexp
	instead string // what to write
	bad     string // a sentence that matches
	good    string // a sentence that does not, with the same words or the same meaning
}

func re(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }

// The beginning of a sentence, and the parts of speech that rules have in common.
const (
	begins = `(?:^|[.!:;] |\| ?)`
	modal  = `(?:may|can|must|will|shall|should|would|could)`
)

// rules are in the order of docs/style.md: words first, then constructions.
var rules = []rule{
	// Words.
	{
		"mend",
		re(`(?i)\bmend(?:s|ed|ing)?\b`),
		"fix",
		"This mends the link.",
		"This fixes the link; amend the record.",
	},
	{
		"sayings",
		re(`(?i)\bsayings\b`),
		"assertion cache",
		"The sayings are kept for a minute.",
		"The assertion cache keeps them for a minute.",
	},
	{
		"lend",
		re(`(?i)\b(?:lend|lends|lent|lending)\b`),
		"delegate, or on behalf of",
		"The bridge lends its account.",
		"The bridge acts on behalf of the person.",
	},
	{
		"e-mail",
		re(`(?i)\be-mails?\b`),
		"email",
		"An e-mail is sent.",
		"An email is sent.",
	},
	{
		"former",
		re(`(?i)\bformer(?:ly)?\b`),
		"previous",
		"The former key still opens it.",
		"The previous key still opens it.",
	},
	{
		"present one",
		re(`(?i)\bthe present (?:one|key|root|state|version|password|value|owner|address)\b`),
		"current",
		"Give the present root key.",
		"Give the current root key; the header is present.",
	},
	{
		"British spelling",
		re(`(?i)\b(?:authoris|recognis|organis|normalis|serialis|initialis|minimis|summaris|customis|` +
			`cancell(?:ed|ing)\b|behaviour|colour|favour|licence\b|catalogue\b)`),
		"American spelling",
		"It is recognised by its colour.",
		"It is recognized by its color; cancellation is final.",
	},
	{
		"whoever",
		re(`(?i)\bwho(?:m)?ever\b`),
		"a person who, anyone who",
		"Whoever is not active may do nothing.",
		"Inactive people have no permissions.",
	},
	{
		"whatever",
		re(`(?i)\bwhatever (?:is|was|comes?|runs?|stands|happens|they|it|he|she|you|one|else|no|` +
			`the \w+ (?:is|was|says?|does|did|has|had)) \w+`),
		"name the thing",
		"It answers whatever was asked.",
		"It answers every question, whatever its name.",
	},
	{
		"nobody else's",
		re(`(?i)\bnobody(?: else)?'s\b`),
		"unassigned, no one else's",
		"Flows that are nobody's stay.",
		"Unassigned flows stay.",
	},
	{
		"somebody",
		re(`(?i)\bsomebody\b`),
		"someone, or a person",
		"Somebody signed in.",
		"Someone signed in.",
	},
	{
		"nobody",
		re(`(?i)\bnobody\b`),
		"no one, or say what is missing",
		"Nobody may read it.",
		"No one can read it.",
	},
	{
		"everybody",
		re(`(?i)\beverybody\b`),
		"everyone",
		"Everybody may try.",
		"Everyone can try.",
	},
	{
		"anew",
		re(`(?i)\banew\b`),
		"again",
		"The list is read anew.",
		"The list is read again; a new list.",
	},
	{
		"by the way",
		re(`(?i)\bby the way(?:[.,;]|$)`),
		"leave it out",
		"It is checked by the way.",
		"It is checked by the way of the header's name.",
	},
	{
		"all the same",
		re(`(?i)\ball the same\b`),
		"still",
		"It is sent all the same.",
		"It is still sent; the values are all equal.",
	},
	{
		"go on",
		re(`(?i)\b(?:go|goes|going|went|gone) on\b`),
		"continue",
		"Confirm and go on.",
		"Confirm and continue.",
	},
	{
		"put off",
		re(`(?i)\bputs? off\b`),
		"postpone",
		"The check is put off.",
		"The check is postponed.",
	},
	{
		"in vain",
		re(`(?i)\bin vain\b`),
		"without success",
		"It was asked in vain.",
		"It was asked without success.",
	},
	{
		"therein",
		re(`(?i)\b(?:therein|thereof|thereby|therefor|herein|hereby|hence|whereby)\b`),
		"say it plainly",
		"Hence the key is old.",
		"So the key is old.",
	},
	{
		"dead",
		re(`(?i)\b(?:is|are|was|were|be) dead\b`),
		"stopped, no longer works",
		"The key is dead without them.",
		"The key stops working without them.",
	},
	{
		"let in",
		re(`(?i)\blets? (?:\w+ )?(?:pass|go)\b`),
		"allow",
		"The gate lets it pass.",
		"The gate allows it; the gate lets people in.",
	},
	{
		"passed over",
		re(`(?i)\bpass(?:es|ed|ing)? over\b`),
		"skip, ignore",
		"The value is passed over.",
		"The value is skipped.",
	},
	{
		"counts as not",
		re(`(?i)\bcounts? as not\b`),
		"is treated as",
		"It counts as not set.",
		"It is treated as missing.",
	},
	{
		"find out",
		re(`(?i)\b(?:is|was|be|being|are) found out\b`),
		"detected",
		"The kind is found out.",
		"The kind is detected.",
	},
	{
		"make one",
		re(`(?i)\b(?:make|makes|made|making) (?:one|another|a new|an? (?:key|link|person|workspace|` +
			`account|session|role|token|backup|copy|folder|file|database|flow|user|entry|request|secret|` +
			`code))\b`),
		"create",
		"Who has none gets a link that makes one.",
		"People without one get a link to create it; make sure.",
	},
	{
		"is made",
		re(`(?i)\b(?:is|are|was|were|been|being) made (?:for|by|in|when|if|from|at|once|there|here|on|with)\b`),
		"created",
		"The key is made by the server.",
		"The server creates the key; the choice is made up.",
	},
	// Constructions.
	{
		"Who begins",
		re(begins + `Who [^?.!]*[.!]`),
		"A person who, People who",
		"Who has none gets a link.",
		"Who has a key?",
	},
	{
		"What begins",
		re(begins + `What [^?.!]*[.!]`),
		"name the thing first",
		"What cannot be read is left out.",
		"What is this?",
	},
	{
		"what clause",
		re(`\b(?:of|with|for|to|from|by|than|in|on|at|as|and|or|about|into|over) what (?:is|was|are|` +
			`were|has|have|had|cannot|can|does|did|do|may|must|came|comes|stands|would|will)\b`),
		"name the thing",
		"The list of what is encrypted is short.",
		"The list of encrypted values is short; to what extent it is known.",
	},
	{
		"what subject",
		re(`(?:^|[.:;,] |that |and |because |but |so )what (?:is|was|are|were|has|have|had|cannot|can|` +
			`does|did|came|comes|stands|follows|remains)\b[^?]*?\b(?:is|are|was|were|stays?|goes|has|` +
			`gets|comes?)\b`),
		"name the thing",
		"It is closed, and what is open stays.",
		"It asks what is open.",
	},
	{
		"may everything",
		re(`(?i)\b` +
			modal +
			` (?:not )?(?:everything|nothing|more|anything|all|so|this|that|none)(?:[.,;:)]|$|` +
			` (?:everywhere|anywhere|here|there|in|on|with|than|for|by)\b)`),
		"add the verb: may do anything",
		"A superuser may everything everywhere.",
		"A superuser may do everything everywhere; what can this person do?",
	},
	{
		"never may",
		re(`(?i)\bnever (?:may|can|must)\b`),
		"can never",
		"A key never may more than its owner.",
		"A key can never do more than its owner.",
	},
	{
		"is no",
		re(`(?i)(?:^|\b(?:[a-su-z]\w*|t[^h]\w*|th[^e]\w*|the|the[^r]\w*) )(?:is|are|was|` +
			`were) no (?:[abd-km-z]\w*|l[^o]\w*|c[^h]\w*)(?: \w+)?(?:[.,;:)]|$| and | but | or | here)`),
		"is not a",
		"The file is no database.",
		"The file is not a database; it is no longer there; there is no limit.",
	},
	{
		"none does",
		re(`(?i)\bnone (?:does|do|did|is|was|has|can)\b`),
		"say it: no X does",
		"Nil: none does.",
		"Nil: no check runs.",
	},
	{
		"there is none",
		re(`(?i)\b(?:if|where|when|unless|as|that|which) there (?:is|was|are|were) (?:none|one|nothing|` +
			`no one)\b`),
		"say of what",
		"\"\" if there is none.",
		"\"\" if the app has no owner.",
	},
	{
		"of X's",
		re(`\b(?:a|an|the|no|some|any|another|other|each|every) [a-z]+ of (?:[A-Z][a-z]+|its|` +
			`the \w+)'s\b(?:[.,;:)]|$| (?:is|are|that|which|and|or|in|for|to|as|was)\b)`),
		"a Sluice key, one of its keys",
		"It is a key of Sluice's.",
		"It is a Sluice key, the name of Sluice's owner.",
	},
	{
		"of here",
		re(`(?i)\bof (?:here|there)\b`),
		"here, of this server",
		"With the password of here.",
		"With the password that is used here.",
	},
	{
		"tells that",
		re(`(?i)\btells? (?:that|whether|if|how|what|of|apart)\b`),
		"reports, says",
		"Bool tells whether it is open.",
		"Bool reports whether it is open; tell people.",
	},
	{
		"says whether",
		re(`(?i)\bsays (?:whether|of|if)\b`),
		"reports",
		"Open says whether it is open.",
		"Open reports whether it is open.",
	},
	{
		"is told",
		re(`(?i)\b(?:is|are|was|were|be) told\b`),
		"gets, hears, is notified",
		"The operator is told once.",
		"The operator is notified once.",
	},
	{
		"is asked",
		re(`(?i)\b(?:is|are|was|were|be) asked (?:for|of|about|by)\b`),
		"who asks for it",
		"A password is asked for.",
		"The page asks for a password.",
	},
	{
		"ends by itself",
		re(`(?i)\b(?:session|link|token|key|invitation|code|grant|ticket|cookie|approval|` +
			`ban)s? (?:ends?|ended|is ended|are ended)\b`),
		"expires, or is revoked",
		"A session ends after a day.",
		"A session expires after a day.",
	},
	{
		"is ended",
		re(`(?i)\b(?:is|are|was|were|been|be) ended\b`),
		"revoked, canceled, expired",
		"What is ended here stays ended.",
		"A revoked key stays revoked.",
	},
	{
		"its end",
		re(`(?i)\b(?:its|their|the session's|the key's) end\b`),
		"expiry, when it expires",
		"The key has its end in a week.",
		"The key expires in a week.",
	},
	{
		"stands in",
		re(`(?i)\b(?:stands?|stood|standing) (?:in|on|at|there|here|twice|once|before|behind|under|` +
			`above|below|beside|between|next)\b`),
		"is, appears, is listed",
		"The name stands in the file.",
		"The name is in the file; stands for an address.",
	},
	{
		"lies in",
		re(`(?i)\b(?:lies|lay|lying|lie) (?:in|on|at|there|here|under|below|beside|between|next)\b`),
		"is",
		"The flow lies in a project.",
		"The flow is in a project.",
	},
	{
		"as it is",
		re(`(?i)\b(?:stays?|left|leaves?|keeps?|remains?|goes|comes|passes|is sent|are sent|is taken|` +
			`are taken) (?:\w+ )?as (?:it|they) (?:is|are|was|were)\b`),
		"unchanged",
		"The body stays as it is.",
		"The body is unchanged.",
	},
	{
		"does so",
		re(`(?i)\b(?:does|do|did|doing) so\b`),
		"repeat the verb",
		"It may do so later.",
		"It may close later; do something.",
	},
	{
		"too, also",
		re(`(?i)\b(?:is|are|was|were) so (?:too|also|for)\b`),
		"say it",
		"It is so for keys.",
		"Keys work the same way.",
	},
	{
		"for so long",
		re(`(?i)\bfor (?:so|as) long\b`),
		"until, while",
		"It is kept for so long.",
		"It is kept until then.",
	},
	{
		"one's",
		re(`(?i)\bone's\b`),
		"their, your",
		"One's own things.",
		"Their own things.",
	},
	{
		"oneself",
		re(`(?i)\boneself\b`),
		"themselves, yourself",
		"To sign oneself out.",
		"To sign out.",
	},
	{
		"no matter",
		re(`(?i)\bbe it\b`),
		"whether",
		"An object, be it a flow or a key.",
		"An object, whether a flow or a key; to be iterated.",
	},
	{
		"the like",
		re(`(?i)\band the like\b`),
		"and similar",
		"Colons and the like.",
		"Colons and similar characters; and the likely case.",
	},
	{
		"is to be",
		re(`(?i)\b(?:is|are|was|were) to be\b`),
		"must be, will be",
		"The key is to be replaced.",
		"The key must be replaced.",
	},
	{
		"that of",
		re(`(?i)\bas (?:does|do|did|is|are) (?:that|those) of\b`),
		"name it again",
		"It expires, as does that of the person.",
		"It expires when the person's session expires.",
	},
	{
		"by itself",
		re(`(?i)\b(?:by itself|by themselves|of itself|of themselves)\b`),
		"automatically",
		"It is renewed by itself.",
		"It is renewed automatically.",
	},
}
