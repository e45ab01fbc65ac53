-- Put before every script: one channel after the other, so that what fails for one is not told of the rest.
--
-- `answer(at)` says what is answered for the channel at that place; never a text. Packed is a list of all
-- answers, with the error's text in the place of one that failed.

local function each(count, answer)
  local answers = {}
  for at = 1, count do
    local is_well, said = pcall(answer, at)
    if not is_well then
      said = type(said) == 'table' and said.err or tostring(said)
    end
    answers[at] = said
  end
  return cmsgpack.pack(answers)
end
