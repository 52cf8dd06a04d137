#!/bin/sh
# A conversation with `cria serve` by curl:
#   bun run serve                                (in another terminal)
#   sh examples/clients/curl.sh [BASE_URL]
set -eu
url=${1:-http://127.0.0.1:8080/v1}
ask() {
  curl --silent --show-error --fail-with-body "$@" "$url/chat/completions" \
    --header "authorization: Bearer ${CRIA_API_KEY:-none}" --header "content-type: application/json" --data @-
}

# Streamed: lines of "data: {…}", the last one "data: [DONE]".
ask --no-buffer <<END
{ "messages": [{ "role": "user", "content": "Hello!" }], "temperature": 0, "max_tokens": 40, "stream": true }
END

# The second turn, which ends at the first full stop, with how sure the model is of its words.
ask <<END
{
  "messages": [
    { "role": "user", "content": "Hello!" },
    { "role": "assistant", "content": "Hello! Shall I tell you a story? Who should be in it?" },
    { "role": "user", "content": "Yes, about a cat." }
  ],
  "temperature": 0, "max_tokens": 40, "stop": ["."], "logprobs": true, "top_logprobs": 2
}
END
echo

# Left: the server stops computing when the client goes.
ask --no-buffer <<END 2> /dev/null | head -n 3
{ "messages": [{ "role": "user", "content": "Tell me a story." }], "max_tokens": 200, "stream": true }
END
