-- include: base doubt call_text
-- Who else waits in the queue of a call, and whether an agent is there who may take calls of some classes, if only while
-- another queue lends them.
-- Those who are paused or not answering stand in no set of their profile: only where they count are all agents looked at.
-- KEYS[1]  prefix of the site
-- ARGV     1 call, or '' where it is about no one call, 2 states that count as absent, blanks between, 3.. classes
-- Returns  {others who wait, 1 or 0}, or nil where the call does not wait, a class is unknown, or
--          the store may lack what it was told last
if in_doubt() then
  return false
end
local waiting = 0
if ARGV[1] ~= '' then
  local c = load_call(ARGV[1])
  if not c or c.state ~= 'waiting' then
    return false
  end
  waiting = rc('ZCARD', K .. 'qw:' .. c.queue) - 1
end
local absent = { offline = true }
for state in string.gmatch(ARGV[2], '%S+') do
  absent[state] = true
end
local anybody = not (absent.offered or absent.talking or absent.wrapup)

local function is_there(id)
  return not absent[rc('HGET', K .. 'a:' .. id, 'st') or 'offline']
end

local function one_of(profile)
  local signed_in = K .. 'si:' .. profile
  if anybody then
    return rc('EXISTS', signed_in) == 1
  end
  for _, id in ipairs(rc('SMEMBERS', signed_in)) do
    if is_there(id) then
      return true
    end
  end
end

local fits = {}
for i = 3, #ARGV do
  if rc('HEXISTS', K .. 'cl', ARGV[i]) == 0 then
    return false
  end
  local terms = odd().lent and rc('SMEMBERS', K .. 'cr:' .. ARGV[i]) or {}
  terms[#terms + 1] = ''
  for _, lent_on in ipairs(terms) do
    for _, profile in ipairs(rc('ZRANGE', fits_key('cp:', ARGV[i], lent_on), 0, -1)) do
      if not fits[profile] and one_of(profile) then
        return { waiting, 1 }
      end
      fits[profile] = true
    end
  end
end
if absent.paused and absent['not-answering'] then
  return { waiting, 0 }
end
for _, id in ipairs(rc('SMEMBERS', K .. 'ag')) do
  local v = rc('HMGET', K .. 'a:' .. id, 'st', 'p')
  if (v[1] == 'paused' or v[1] == 'not-answering') and not absent[v[1]] and v[2] and fits[v[2]] then
    return { waiting, 1 }
  end
end
return { waiting, 0 }
