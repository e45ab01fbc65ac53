-- How many requests a sender may have open to each channel now.
--
-- Arguments: {now or false, lease_ms, sender, {{most, open, wanted}, ...}}, one for each key. `wanted`, which counts
--   those that are open, at 0: the sender leaves.
-- Result: for each key the number.
--
-- What is stored of a channel is one key: a MessagePack map of its senders, each a map with
--   held    slots that are its own: what it may have open, or what is still open of what it might
--   wanted  what it could use
--   until_  when it counts as dead, ms since 1970
--   since   since when it has slots, or has none

local arguments = cmsgpack.unpack(ARGV[1])
local lease_ms, name = arguments[2], arguments[3]
local time = redis.call('TIME')
local now = arguments[1] or time[1] * 1000 + math.floor(time[2] / 1000)

-- Where there are more senders than slots, each keeps its own so long before others have their turn.
local TURN_MS = 500

local function load(key)
  local packed = redis.call('GET', key)
  local senders = packed and cmsgpack.unpack(packed) or {}
  for other, sender in pairs(senders) do
    -- Should the clock of Redis jump back, nobody counts as alive for longer than that.
    if sender.until_ <= now or sender.until_ > now + 2 * lease_ms then
      senders[other] = nil
    end
  end
  return senders
end

local function save(key, senders)
  if next(senders) then
    redis.call('SET', key, cmsgpack.pack(senders), 'PX', math.ceil(lease_ms))
  else
    redis.call('DEL', key)
  end
end

-- First who is in the middle of its turn, then who has waited, last whose turn is over.
local function rank(sender)
  if sender.held < 1 then
    return 1
  end
  return now - sender.since < TURN_MS and 0 or 2
end

local function in_their_order(senders)
  local queue = {}
  for other, sender in pairs(senders) do
    table.insert(queue, { sender = sender, name = other, rank = rank(sender) })
  end
  table.sort(queue, function(a, b)
    if a.rank ~= b.rank then
      return a.rank < b.rank
    end
    if a.sender.since ~= b.sender.since then
      return a.sender.since < b.sender.since
    end
    return a.name < b.name
  end)
  return queue
end

-- The fair share of `mine`: all alike, as far as they want so many, and what one leaves is for the others.
local function fair_share(senders, mine, most)
  local shares, open, left = {}, in_their_order(senders), most
  while left > 0 and #open > 0 do
    local portion, still_open = math.max(1, math.floor(left / #open)), {}
    for _, each in ipairs(open) do
      local sender = each.sender
      local more = math.min(portion, left, sender.wanted - (shares[sender] or 0))
      shares[sender], left = (shares[sender] or 0) + more, left - more
      if shares[sender] < sender.wanted then
        table.insert(still_open, each)
      end
    end
    open = still_open
  end
  return shares[mine] or 0
end

local function held_by_others(senders, mine)
  local held = 0
  for _, sender in pairs(senders) do
    if sender ~= mine then
      held = held + sender.held
    end
  end
  return held
end

local function share(key, most, open, wanted)
  local senders = load(key)
  if wanted < 1 then
    senders[name] = nil
    save(key, senders)
    return 0
  end
  local mine = senders[name] or { held = 0, since = now }
  senders[name] = mine
  mine.wanted, mine.until_ = wanted, now + lease_ms
  local had = mine.held > 0
  -- Nobody is cut off, so what others hold beyond their share is theirs until it has ended.
  local granted = math.max(0, math.min(fair_share(senders, mine, most), most - held_by_others(senders, mine)))
  mine.held = math.max(open, granted)
  if had ~= (mine.held > 0) then
    mine.since = now
  end
  save(key, senders)
  return granted
end

return each(#KEYS, function(at)
  return share(KEYS[at], unpack(arguments[4][at]))
end)
