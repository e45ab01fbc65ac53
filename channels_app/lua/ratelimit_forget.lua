-- Forget what is stored of token buckets. Arguments: nothing. Result: for each key true.

return each(#KEYS, function(at)
  redis.call('DEL', KEYS[at])
  return true
end)
