-- How feeds stand, by recipient: hashes of g (generation), e (epoch), v (version), n (unread, or ? where only the
-- version is known), s (last_seq), r (read_upto). `KEYS[1]` holds the generation; what was stored under another one
-- counts for nothing. It is lost with everything else in a flush, and then drawn anew.

local function generation(fresh)
  local current = redis.call('GET', KEYS[1])
  if not current then
    redis.call('SET', KEYS[1], fresh)
    current = fresh
  end
  return current
end
