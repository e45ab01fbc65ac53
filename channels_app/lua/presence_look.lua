-- Who is there. Two keys for each recipient. Result: for each {{connection, ...}, {connection looked at, ...}}.

local now = tonumber(redis.call('TIME')[1])

return each(#KEYS / 2, function(at)
  local after = '(' .. now
  return {
    redis.call('ZRANGEBYSCORE', KEYS[2 * at - 1], after, '+inf'),
    redis.call('ZRANGEBYSCORE', KEYS[2 * at], after, '+inf'),
  }
end)
