package config

var originVars = []Variable{
	{
		Name:    "CORS_ORIGINS",
		From:    Flowise,
		Group:   GroupOrigins,
		Kind:    KindOrigins,
		Default: "*",
		Example: "https://flows.example.com,https://app.example.com",
		Text:    "Origins whose pages may call the API from a browser.",
	},
	{
		Name:    "IFRAME_ORIGINS",
		From:    Flowise,
		Group:   GroupOrigins,
		Kind:    KindOrigins,
		Default: "*",
		Example: "https://www.example.com",
		Text:    "Origins whose pages may show a flow's page in a frame; 'self' and 'none' are understood too.",
	},
}

var outboundVars = []Variable{
	{
		Name:    "HTTP_SECURITY_CHECK",
		From:    Flowise,
		Group:   GroupOutbound,
		Kind:    KindBool,
		Default: "true",
		Example: "true",
		Text:    "Whether flows are prevented from calling internal addresses.",
	},
	{
		Name:    "HTTP_DENY_LIST",
		From:    Flowise,
		Group:   GroupOutbound,
		Kind:    KindHosts,
		Example: "localhost,127.0.0.1,169.254.169.254",
		Text:    "Additional hosts that flows must not call.",
		Differs: "In Flowise host names in the list never match; in Sluice they do.",
	},
	{
		Name:    "CUSTOM_MCP_SECURITY_CHECK",
		From:    Flowise,
		Group:   GroupOutbound,
		Kind:    KindBool,
		Default: "true",
		Example: "true",
		Text:    "Whether definitions of custom MCP servers are checked before a builder gets them.",
	},
	{
		Name: "CUSTOM_MCP_PROTOCOL", From: Flowise, Group: GroupOutbound, Kind: KindEnum, Choices: []string{"stdio",
			"sse"}, Default: "sse", Example: "sse",
		Text: "How custom MCP servers are reached: over the network (sse) or as a program on the builder's machine " +
			"(stdio).",
	},
}

var storageVars = []Variable{
	{
		Name: "STORAGE_TYPE", From: Flowise, Group: GroupStorage, Kind: KindEnum, Choices: []string{"local",
			"s3"}, Default: "local", Example: "s3",
		Text: "Where Sluice keeps large files such as flow versions: a local folder or S3.",
		Refused: map[string]string{
			"gcs": "is a store Sluice does not support; its own files go into local or s3, whatever the builder " +
				"behind it uses",
			"azure": "is a store Sluice does not support; its own files go into local or s3, whatever the builder " +
				"behind it uses",
		},
	},
	{
		Name:    "S3_STORAGE_BUCKET_NAME",
		From:    Flowise,
		Group:   GroupStorage,
		Kind:    KindString,
		Example: "flowise-production",
		Text:    "Name of the S3 bucket.",
	},
	{
		Name:        "S3_STORAGE_ACCESS_KEY_ID",
		From:        Flowise,
		Group:       GroupStorage,
		Kind:        KindString,
		Secret:      true,
		Example:     sampleAWSKey,
		DefaultNote: "the AWS default credential chain",
		Text:        "Access key id for the bucket.",
	},
	{
		Name:        "S3_STORAGE_SECRET_ACCESS_KEY",
		From:        Flowise,
		Group:       GroupStorage,
		Kind:        KindString,
		Secret:      true,
		Example:     "<your-secret-key>",
		DefaultNote: "the AWS default credential chain",
		Text:        "Secret access key for the bucket.",
	},
	{
		Name:    "S3_STORAGE_REGION",
		From:    Flowise,
		Group:   GroupStorage,
		Kind:    KindString,
		Default: "us-east-1",
		Example: "us-east-1",
		Text:    "Region of the bucket.",
	},
}
