"""Operations that make a pass faster: dense layers, recurrent steps, fused and compiled programs."""
