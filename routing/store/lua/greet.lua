-- include: base doubt events
-- The first word of a node on a connection: is this the server, with the data, that the node knows? Where it is not,
-- tokens and event numbers go on above all that were known, whoever reads events gets the state anew, and nobody is
-- reserved until the nodes have said their calls again. `gen` holds the generation of the data.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 node, 3 run of the server, 4 generation that the node knows or '', 5 highest token and
--          6 event that it knows, 7.. other nodes that it knows to live
-- Returns  {generation, what happened: '', restarted, went-back or emptied}
local now, node, run, known, token, seq = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local v = rc('HMGET', K .. 'gen', 'id', 'run', 'n', 'how', 'from')
local id, number = v[1], tonumber(v[3] or '0')
local known_id, known_number = string.match(known, '^(.+):(%d+)$')
local counted = tonumber(rc('GET', K .. 'seq') or '0')
known_number = tonumber(known_number or '0')

-- What it lacks, by the numbers that the node knows.
local function lacks(last)
  return seq > last or token > tonumber(rc('GET', K .. 'fence') or '0')
end

local how, begins = '', true
if not id then
  id = run .. '-' .. int(now)
  how = known_id and 'emptied' or ''
elseif known_id and known_id ~= id then
  how, begins = 'emptied', v[2] ~= run or seq > counted
elseif v[2] ~= run or known_number > number then
  how = known_id and (known_number > number or lacks(counted)) and 'went-back' or 'restarted'
elseif known_id and lacks(counted) then
  how = 'went-back'
elseif known_id and known_number < number then
  how, begins = seq > tonumber(v[5]) and 'went-back' or v[4], false
else
  begins = false
end

if token > tonumber(rc('GET', K .. 'fence') or '0') then
  rc('SET', K .. 'fence', int(token))
end

-- Everything that is counted and known, for whoever folds the events.
local function tell_everything()
  for _, queue in ipairs(rc('ZRANGE', K .. 'qk', 0, -1)) do
    emit(now, 'counted', '', 'name', queue, unpack(rc('HGETALL', K .. 'qs:' .. queue)))
  end
  local agents = rc('SMEMBERS', K .. 'ag')
  table.sort(agents)
  for _, agent in ipairs(agents) do
    emit(now, 'agent-is', '', 'a', agent, unpack(rc('HGETALL', K .. 'a:' .. agent)))
  end
end

if begins then
  number = math.max(number, known_number) + 1
  rc('HSET', K .. 'gen', 'id', id, 'run', run, 'n', number, 'how', how, 'from', counted)
  if how ~= '' then
    rc('SET', K .. 'seq', int(math.max(counted, seq) + EVENTS_SKIPPED))
    emit(now, 'store-began', '', 'n', number, 'how', how)
    tell_everything()
    -- Whoever lived then gets the time to say so.
    for _, what in ipairs(rc('ZRANGE', K .. 'due', 0, -1)) do
      if string.sub(what, 1, 2) == 'n:' then
        doubt_of(string.sub(what, 3))
        rc('ZADD', K .. 'due', 'GT', now + DOUBT_MS, what)
      end
    end
    for i = 7, #ARGV do
      doubt_of(ARGV[i])
    end
  end
end
if how ~= '' and known_id then
  doubt_of(node)
end
if how ~= '' and in_doubt() then
  due_at(now + DOUBT_MS, 'g:')
end
return { id .. ':' .. int(number), how }
