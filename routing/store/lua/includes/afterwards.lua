-- include: base own_calls lend
-- What may follow from a word for agents and calls that it was not about. To be called when all else is done.
local function afterwards(now)
  take_makers(now)
  lend(now)
end
