package config

import "strings"

// The tables below list variables that only the builders read. A line is a name and the builder's
// use for it. Sluice knows the names so that it accepts a builder's env file unchanged. It never
// shows the values, and does nothing with them.

const flowiseTable = `
API_KEY_BLACKLIST_URLS paths that need no API key, in old versions
BLOB_STORAGE_PATH folder of uploaded files
CORS_ALLOW_CREDENTIALS whether other origins may send cookies to Flowise
CUSTOM_MCP_ALLOWED_ABSOLUTE_SCRIPT_PATHS scripts that a custom MCP server may run
CUSTOM_MCP_ALLOWED_COMMANDS commands that a custom MCP server may run
CUSTOM_MCP_ALLOWED_ENV_VARS variables that a custom MCP server may be given
DATABASE_REJECT_UNAUTHORIZED whether Flowise checks its database's certificate
DATABASE_SSL_KEY_BASE64 certificate authority of Flowise's database
DEBUG whether Flowise logs to the console
DENYLIST_URLS paths taken off Flowise's list of public ones
ENABLE_BULLMQ_DASHBOARD whether Flowise serves its queue's dashboard
FLOWISE_FILE_SIZE_LIMIT largest JSON body that Flowise accepts
FLOWISE_PASSWORD password of the single account of old versions
FLOWISE_USERNAME name of the single account of old versions
LOG_PATH folder of Flowise's log files
MCP_CORS_ORIGINS origins that may call Flowise's MCP endpoint
MODE whether Flowise runs flows itself or through a queue
NODE_ENV Node.js environment name
NODE_OPTIONS options of the Node.js process
OAUTH2_ALLOWED_TOKEN_DOMAINS hosts that Flowise may ask for OAuth tokens
OAUTH2_SECURITY_CHECK whether Flowise checks those hosts
PATH_TRAVERSAL_SAFETY whether Flowise checks file paths
PLATFORM_TYPE edition of Flowise
REDIS_HOST host of Flowise's queue
REDIS_PASSWORD password of Flowise's queue
REDIS_PORT port of Flowise's queue
REDIS_TLS whether Flowise's queue is reached over TLS
REDIS_URL address of Flowise's queue
REDIS_USERNAME user name at Flowise's queue
S3_ENDPOINT_URL address of an S3 server other than Amazon's
S3_FORCE_PATH_STYLE whether the bucket is part of the path
VITE_API_BASE_URL address of the API, when Flowise's pages are built
WHITELIST_URLS paths that need no sign-in, in old versions
`

const langflowTable = `
LANGFLOW_A2A_ENABLED whether flows answer agents by the A2A protocol
LANGFLOW_ACCESS_HTTPONLY whether scripts are kept from the access cookie
LANGFLOW_ACCESS_SAME_SITE SameSite mode of the access cookie
LANGFLOW_ACCESS_SECURE whether the access cookie needs https
LANGFLOW_ACCESS_TOKEN_EXPIRE_SECONDS lifetime of Langflow's access token
LANGFLOW_ALGORITHM algorithm that signs Langflow's tokens
LANGFLOW_ALLOW_CUSTOM_COMPONENTS whether flows may contain custom code
LANGFLOW_ALLOW_PUBLIC_CUSTOM_COMPONENTS whether public flows may contain custom code
LANGFLOW_API_KEY the one API key, when keys come from the environment
LANGFLOW_API_KEY_SOURCE whether API keys come from the database or the environment
LANGFLOW_AUDIT_ENABLED whether Langflow keeps an audit log
LANGFLOW_AUTHZ_AUDIT_CLEANUP_INTERVAL how often Langflow prunes its authorization log
LANGFLOW_AUTHZ_AUDIT_ENABLED whether Langflow logs authorization
LANGFLOW_AUTHZ_AUDIT_RETENTION_DAYS how long Langflow keeps that log
LANGFLOW_AUTHZ_ENABLED whether an authorization plug-in decides
LANGFLOW_AUTHZ_SUPERUSER_BYPASS whether a superuser passes that plug-in
LANGFLOW_AUTO_SAVING whether the editor saves automatically
LANGFLOW_AUTO_SAVING_INTERVAL how often the editor saves
LANGFLOW_BACKEND_ONLY whether Langflow serves no pages
LANGFLOW_BLOCK_CODE_INTERPRETER_COMPONENTS whether code interpreters are barred
LANGFLOW_CACHE_TYPE where Langflow caches
LANGFLOW_CONFIG_DIR folder of Langflow's settings
LANGFLOW_CONNECTOR_SSRF_ALLOW_LOOPBACK whether connectors may call this machine
LANGFLOW_CONNECTOR_SSRF_VALIDATION_ENABLED whether connectors' addresses are checked
LANGFLOW_COOKIE_DOMAIN domain of Langflow's cookies
LANGFLOW_CORS_ALLOW_CREDENTIALS whether other origins may send cookies to Langflow
LANGFLOW_CORS_ALLOW_HEADERS headers that other origins may send to Langflow
LANGFLOW_CORS_ALLOW_METHODS methods that other origins may use at Langflow
LANGFLOW_CORS_ORIGINS origins that may call Langflow
LANGFLOW_CUSTOM_COMPONENT_ADMIN_ONLY whether only superusers may write components
LANGFLOW_DATABASE_URL address of Langflow's database
LANGFLOW_DISABLE_TRACK_APIKEY_USAGE whether uses of API keys go uncounted
LANGFLOW_DOWNLOAD_WEBHOOK_URL address notified of downloads from the store
LANGFLOW_ENABLE_SIGNUP whether people can sign up at Langflow
LANGFLOW_ENABLE_SUPERUSER_CLI whether superusers can be created on the command line
LANGFLOW_EXTERNAL_AUTH_ACCESS_CEILING_ENABLED whether an outside token limits rights
LANGFLOW_EXTERNAL_AUTH_ACCESS_CLAIM claim that contains the access level
LANGFLOW_EXTERNAL_AUTH_ACCESS_CLAIM_MAPPING how that claim maps to levels
LANGFLOW_EXTERNAL_AUTH_ALGORITHMS algorithms of outside tokens
LANGFLOW_EXTERNAL_AUTH_AUDIENCE audience of outside tokens
LANGFLOW_EXTERNAL_AUTH_DEFAULT_ACCESS_LEVEL level of a token without that claim
LANGFLOW_EXTERNAL_AUTH_DISABLE_API_KEYS_FOR_EXTERNAL_USERS whether outside users have no API keys
LANGFLOW_EXTERNAL_AUTH_EMAIL_CLAIM claim that contains the email address
LANGFLOW_EXTERNAL_AUTH_ENABLED whether outside tokens are accepted
LANGFLOW_EXTERNAL_AUTH_GROUP_RECONCILE_INTERVAL_SECONDS how often groups are read again
LANGFLOW_EXTERNAL_AUTH_IDENTITY_RESOLVER Python function that reads outside tokens
LANGFLOW_EXTERNAL_AUTH_ISSUER issuer of outside tokens
LANGFLOW_EXTERNAL_AUTH_JWKS_URL address of the outside keys
LANGFLOW_EXTERNAL_AUTH_NAME_CLAIM claim that contains the name
LANGFLOW_EXTERNAL_AUTH_PROVIDER name of the outside provider
LANGFLOW_EXTERNAL_AUTH_SUBJECT_CLAIM claim that contains the subject
LANGFLOW_EXTERNAL_AUTH_TOKEN_COOKIE cookie that contains the outside token
LANGFLOW_EXTERNAL_AUTH_TOKEN_HEADER header that contains the outside token
LANGFLOW_EXTERNAL_AUTH_TRUSTED_JWT_DECODE whether outside tokens go unverified
LANGFLOW_EXTERNAL_AUTH_USERNAME_CLAIM claim that contains the user name
LANGFLOW_FRONTEND_PATH folder of Langflow's pages
LANGFLOW_HOST address that Langflow listens on
LANGFLOW_LANGCHAIN_CACHE cache of LangChain
LANGFLOW_LIKE_WEBHOOK_URL address notified of likes in the store
LANGFLOW_LOG_FILE file of Langflow's log
LANGFLOW_LOG_LEVEL how much Langflow logs
LANGFLOW_LOG_RETRIEVER_BUFFER_SIZE log lines that Langflow shows in its pages
LANGFLOW_MCP_SERVER_DOCKER_HARDENING whether MCP containers are locked down
LANGFLOW_OPEN_BROWSER whether Langflow opens a browser at start
LANGFLOW_PORT port that Langflow listens on
LANGFLOW_PRIVATE_KEY key that signs Langflow's tokens
LANGFLOW_PUBLIC_FLOW_RATE_LIMIT_PER_MINUTE calls a minute to a public flow
LANGFLOW_PUBLIC_KEY key that checks Langflow's tokens
LANGFLOW_RATE_LIMIT_ENABLED whether Langflow limits sign-ins
LANGFLOW_RATE_LIMIT_PER_MINUTE sign-ins a minute from one address
LANGFLOW_RATE_LIMIT_STORAGE_URI where Langflow counts sign-ins
LANGFLOW_RATE_LIMIT_TRUST_PROXY whether that limit reads forwarding headers
LANGFLOW_REDIS_CACHE_EXPIRE how long Langflow's cache in Redis keeps entries
LANGFLOW_REDIS_DB number of the database of that cache
LANGFLOW_REDIS_HOST host of that cache
LANGFLOW_REDIS_PORT port of that cache
LANGFLOW_REFRESH_HTTPONLY whether scripts are kept from the refresh cookie
LANGFLOW_REFRESH_SAME_SITE SameSite mode of the refresh cookie
LANGFLOW_REFRESH_SECURE whether the refresh cookie needs https
LANGFLOW_REFRESH_TOKEN_EXPIRE_SECONDS lifetime of Langflow's refresh token
LANGFLOW_REMOVE_API_KEYS whether keys are stripped from saved flows
LANGFLOW_RESTRICT_LOCAL_FILE_ACCESS whether flows are kept from local files
LANGFLOW_ROOT_PATH path under which Langflow is served
LANGFLOW_SKIP_AUTH_AUTO_LOGIN whether calls need no key while automatic sign-in is on
LANGFLOW_SSL_CERT_FILE certificate that Langflow serves https with
LANGFLOW_SSL_KEY_FILE key of that certificate
LANGFLOW_SSO_CONFIG_FILE file of the single sign-on plug-in
LANGFLOW_SSO_ENABLED whether the single sign-on plug-in is on
LANGFLOW_SSO_PROVIDER provider of the single sign-on plug-in
LANGFLOW_SSRF_ALLOWED_HOSTS hosts that flows may call although they are internal
LANGFLOW_SSRF_PROTECTION_ENABLED whether flows are kept from internal hosts
LANGFLOW_STORE_URL address of Langflow's store
LANGFLOW_VARIABLES_TO_GET_FROM_ENVIRONMENT variables of the environment that flows get
LANGFLOW_WEBHOOK_AUTH_ENABLE whether a webhook needs an API key
LANGFLOW_WORKERS number of Langflow's processes
`

func flowiseTheirs() []Variable { return theirs(Flowise, flowiseTable) }

func langflowTheirs() []Variable { return theirs(Langflow, langflowTable) }

func theirs(from Builder, table string) []Variable {
	var vars []Variable
	for line := range strings.Lines(strings.TrimSpace(table)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		vars = append(
			vars,
			Variable{Name: name, From: from, Group: GroupTheirs, Kind: KindString, Secret: true, Theirs: true,
				Text: strings.ToUpper(text[:1]) + text[1:] + "."},
		)
	}
	return vars
}
