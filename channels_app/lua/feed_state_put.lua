-- Store how feeds stand, unless what is there is newer. Values count only from those who knew the current
-- generation before they looked at the feed; of others just the version is kept, so that nothing older gets in.
--
-- Arguments: {fresh generation, {{generation known, epoch, version, unread, last_seq, read_upto, ttl_s}, ...}},
--   one for each key but the first. Result: for each {generation, whether it was stored}.

local arguments = cmsgpack.unpack(ARGV[1])
local current = generation(arguments[1])

local function is_newer(key, epoch, version)
  local held = redis.call('HMGET', key, 'g', 'e', 'v', 'n')
  if held[1] ~= current then
    return true
  end
  local held_epoch, held_version = tonumber(held[2]), tonumber(held[3])
  if epoch ~= held_epoch then
    return epoch > held_epoch
  end
  return version > held_version or (version == held_version and held[4] == '?')
end

return each(#KEYS - 1, function(at)
  local key = KEYS[at + 1]
  local known, epoch, version, unread, last_seq, read_upto, ttl_s = unpack(arguments[2][at])
  if not is_newer(key, epoch, version) then
    return { current, false }
  end
  redis.call(
    'HSET', key, 'g', current, 'e', epoch, 'v', version, 'n', known == current and unread or '?',
    's', last_seq, 'r', read_upto
  )
  redis.call('EXPIRE', key, ttl_s)
  return { current, true }
end)
