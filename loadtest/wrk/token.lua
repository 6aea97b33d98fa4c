-- Tokens from the token endpoint, RFC 6749 section 4.4, the client's secret in the body.
--
--   CLIENT_ID=demo CLIENT_SECRET=demo-secret wrk -t1 -c64 -d10s --latency -s token.lua http://127.0.0.1:4444/oauth2/token
--
-- SCOPE, when set, is what each request asks for.

local function encoded(text)
  return (text:gsub("[^%w%-%._~]", function(c) return string.format("%%%02X", c:byte()) end))
end

local scope = os.getenv("SCOPE")

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.body = "grant_type=client_credentials"
  .. "&client_id=" .. encoded(os.getenv("CLIENT_ID") or "demo")
  .. "&client_secret=" .. encoded(os.getenv("CLIENT_SECRET") or "demo-secret")
  .. (scope and "&scope=" .. encoded(scope) or "")

function done(summary, latency, requests)
  if summary.errors.status > 0 then
    io.write(string.format("%d answers were not 200: see a single one with curl\n", summary.errors.status))
  end
end
