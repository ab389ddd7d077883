-- include: base events lines idle steps targets call_text
-- A ticket as ARGV 2-17: call, node, class, named agent or '', queue, score, enqueued (ms), ring (ms),
-- wrap-up (ms), priority, order of the idle agents,
-- steps (includes/steps.lua), limit of the wrap-up (ms), how many agents ring together (0: the call is the named agent's own),
-- what follows once the target is missed (includes/targets.lua), weight of the queue.
local function ticket()
  return {
    id = ARGV[2], node = ARGV[3], class = ARGV[4], named = ARGV[5], queue = ARGV[6], score = ARGV[7],
    enqueued = ARGV[8], ring = tonumber(ARGV[9]), wrapup = tonumber(ARGV[10]), priority = ARGV[11],
    order = ARGV[12], steps = ARGV[13], wrapup_limit = tonumber(ARGV[14]), rings = math.max(1, tonumber(ARGV[15])), late = ARGV[16],
    weight = tonumber(ARGV[17]), own = ARGV[15] == '0',
  }
end

-- A call that was unknown; in no line yet, and written with what comes of it.
local function admit(now, c)
  rc('ZADD', K .. 'qk', 'GT', now, c.queue)
  local seq = emit(now, 'entered', c.queue, 'c', c.id, 'n', c.node, 'p', c.priority, 'at', c.enqueued)
  c.state, c.member, c.new, c.changed = 'waiting', line_member(seq, c.id), true, true
  await_target(now, c)
  rc('SADD', K .. 'nc:' .. c.node, c.id)
  -- A word that was long on its way may come from a node that is no more.
  if not rc('ZSCORE', K .. 'due', 'n:' .. c.node) then
    due_at(now + UNLEASED_MS, 'o:' .. c.node)
  end
  await_steps(now, c)
end
