-- include: base site
-- The waiting line of each class `w:C`, the best call of each class `h` (of those that name an agent
-- `h:AGENT`; of queues of another weight than 1 `h*WEIGHT`, `h*WEIGHT:AGENT`), the line of each queue `qw:Q`, and its calls by age `qe:Q`. A member is the arrival number and the call, so that
-- calls of one millisecond keep their order. `own` has those of agents who made their call themselves.
local SEQ_DIGITS = 14

local function line_member(seq, call)
  return string.format('%014d', seq) .. call
end

local function call_of(member)
  return string.sub(member, SEQ_DIGITS + 1)
end

local function heads_key(weight, named)
  local key = K .. 'h'
  if weight ~= 1 then
    key = key .. '*' .. int(weight)
  end
  if named == '' then
    return key
  end
  return key .. ':' .. named
end

local function enter_line(c)
  rc('ZADD', K .. 'w:' .. c.class, c.score, c.member)
  rc('ZADD', K .. 'qw:' .. c.queue, c.score, c.member)
  rc('ZADD', K .. 'qe:' .. c.queue, c.enqueued, c.id)
  rc('ZADD', heads_key(c.weight, c.named), 'LT', c.score, c.class)
  if c.own then
    rc('ZADD', K .. 'own', c.score, c.member)
    set_odd('own', '1')
  end
end

local function leave_line(c)
  local line = K .. 'w:' .. c.class
  rc('ZREM', line, c.member)
  rc('ZREM', K .. 'qw:' .. c.queue, c.member)
  rc('ZREM', K .. 'qe:' .. c.queue, c.id)
  if c.own and rc('ZREM', K .. 'own', c.member) == 1 and rc('EXISTS', K .. 'own') == 0 then
    set_odd('own', nil)
  end
  local head = rc('ZRANGE', line, 0, 0, 'WITHSCORES')
  if head[1] then
    rc('ZADD', heads_key(c.weight, c.named), head[2], c.class)
  else
    rc('ZREM', heads_key(c.weight, c.named), c.class)
  end
end
