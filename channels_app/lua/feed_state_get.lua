-- How feeds stand. Arguments: {fresh generation}.
-- Result: for each key but the first {generation, epoch, version, unread, last_seq, read_upto}, or {generation}.

local current = generation(cmsgpack.unpack(ARGV[1])[1])

return each(#KEYS - 1, function(at)
  local held = redis.call('HMGET', KEYS[at + 1], 'g', 'e', 'v', 'n', 's', 'r')
  if held[1] ~= current or held[4] == '?' then
    return { current }
  end
  local answer = { current }
  for place = 2, 6 do
    answer[place] = tonumber(held[place])
  end
  return answer
end)
