-- include: base
-- One fact: counted for its queue, and appended to the numbered event stream (`s`).
-- Returns the number. `qk` holds when each queue was last used.
local function emit(now, kind, queue, ...)
  if queue ~= '' then
    rc('HINCRBY', K .. 'qs:' .. queue, kind, 1)
  end
  local seq = rc('INCR', K .. 'seq')
  rc('XADD', K .. 'ev', 'MAXLEN', '~', EVENTS_KEPT, '*', 's', seq, 't', now, 'k', kind, 'q', queue, ...)
  return seq
end
