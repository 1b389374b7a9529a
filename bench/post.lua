wrk.method = "POST"
wrk.body = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"
wrk.headers["Content-Type"] = "application/json"
