<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
<context>
    <name>DCEPerfusionBMD</name>
    <message>
        <source>Study</source>
        <translation>检查</translation>
    </message>
    <message>
        <source>Dynamic series:</source>
        <translation>动态序列：</translation>
    </message>
    <message>
        <source>The dynamic series: a volume sequence, the volume that shows one, or a multivolume.</source>
        <translation>动态序列：体数据序列、显示该序列的体数据，或多体数据。</translation>
    </message>
    <message>
        <source>Load DICOM…</source>
        <translation>加载 DICOM…</translation>
    </message>
    <message>
        <source>Read the dynamic series of a folder of DICOM files, with frame times that are checked.</source>
        <translation>读取 DICOM 文件夹中的动态序列，并核对各帧时间。</translation>
    </message>
    <message>
        <source>Load phantom</source>
        <translation>加载体模</translation>
    </message>
    <message>
        <source>Make a digital lumbar spine with known perfusion, to try the module on.</source>
        <translation>生成灌注参数已知的数字腰椎体模，用于试用本模块。</translation>
    </message>
    <message>
        <source>Frame times:</source>
        <translation>帧时间：</translation>
    </message>
    <message>
        <source>Frame times in s, before those of the data: the step, or one time per frame separated by commas. Empty to take them from the data.</source>
        <translation>帧时间（s），优先于数据中的时间：填写间隔，或用逗号分隔的每帧时间。留空则取自数据。</translation>
    </message>
    <message>
        <source>from data</source>
        <translation>取自数据</translation>
    </message>
    <message>
        <source>Skip frames:</source>
        <translation>跳过帧数：</translation>
    </message>
    <message>
        <source>Leading frames to leave out (number of frames), before the steady state.</source>
        <translation>开头需舍去的帧数（帧），即达到稳态之前的帧。</translation>
    </message>
    <message>
        <source>TR:</source>
        <translation>TR：</translation>
    </message>
    <message>
        <source>Repetition time TR (ms). From 0.1 to 1000.</source>
        <translation>重复时间 TR（ms）。0.1 至 1000。</translation>
    </message>
    <message>
        <source>Take this value from the data, or from the literature where it is not there.</source>
        <translation>该值取自数据；数据中没有时取自文献。</translation>
    </message>
    <message>
        <source>Flip angle:</source>
        <translation>翻转角：</translation>
    </message>
    <message>
        <source>Flip angle (degrees). From 0.1 to 90.</source>
        <translation>翻转角（度）。0.1 至 90。</translation>
    </message>
    <message>
        <source>TE:</source>
        <translation>TE：</translation>
    </message>
    <message>
        <source>Echo time TE (ms). From 0.01 to 200.</source>
        <translation>回波时间 TE（ms）。0.01 至 200。</translation>
    </message>
    <message>
        <source>Field:</source>
        <translation>场强：</translation>
    </message>
    <message>
        <source>Magnetic field strength (T). From 0.01 to 20.</source>
        <translation>磁场强度（T）。0.01 至 20。</translation>
    </message>
    <message>
        <source>Agent:</source>
        <translation>对比剂：</translation>
    </message>
    <message>
        <source>Contrast agent, e.g. gadobenate; selects the relaxivity.</source>
        <translation>对比剂，请填英文通用名，例如 gadobenate（钆贝葡胺）；据此选择弛豫率。</translation>
    </message>
    <message>
        <source>Regions</source>
        <translation>区域</translation>
    </message>
    <message>
        <source>Segmentation:</source>
        <translation>分割：</translation>
    </message>
    <message>
        <source>Vertebrae and artery, one segment each.</source>
        <translation>椎体和动脉，各为一个分割区。</translation>
    </message>
    <message>
        <source>Segments with what they are taken for; choose another level or artery in the second column. Voxels are counts on the grid of the series.</source>
        <translation>各分割区及其识别结果；可在第二列改选椎体节段或动脉。体素数按序列网格计。</translation>
    </message>
    <message>
        <source>Segment</source>
        <translation>分割区</translation>
    </message>
    <message>
        <source>Name of the segment.</source>
        <translation>分割区名称。</translation>
    </message>
    <message>
        <source>Taken for</source>
        <translation>识别为</translation>
    </message>
    <message>
        <source>Vertebral level, artery, or muscle as reference tissue.</source>
        <translation>椎体节段、动脉，或作为参考组织的肌肉。</translation>
    </message>
    <message>
        <source>Voxels</source>
        <translation>体素</translation>
    </message>
    <message>
        <source>Voxels drawn.</source>
        <translation>勾画的体素数。</translation>
    </message>
    <message>
        <source>Margin</source>
        <translation>内缩</translation>
    </message>
    <message>
        <source>Voxels within the margin, which are left out.</source>
        <translation>距边缘过近而被舍去的体素数。</translation>
    </message>
    <message>
        <source>Excluded</source>
        <translation>排除</translation>
    </message>
    <message>
        <source>Share of the voxels inside the margin that are excluded.</source>
        <translation>内缩后剩余体素中被排除的比例。</translation>
    </message>
    <message>
        <source>Usable</source>
        <translation>可评估</translation>
    </message>
    <message>
        <source>Whether enough voxels are left.</source>
        <translation>剩余体素是否足够。</translation>
    </message>
    <message>
        <source>Segment Editor</source>
        <translation>分割编辑器</translation>
    </message>
    <message>
        <source>Draw the segments on the series in the Segment Editor.</source>
        <translation>在分割编辑器中于该序列上勾画。</translation>
    </message>
    <message>
        <source>TotalSegmentator</source>
        <translation>TotalSegmentator</translation>
    </message>
    <message>
        <source>Outline the vertebrae with TotalSegmentator (task vertebrae_mr); the artery is to be drawn by hand.</source>
        <translation>用 TotalSegmentator（任务 vertebrae_mr）勾画椎体；动脉需手工勾画。</translation>
    </message>
    <message>
        <source>Show exclusions</source>
        <translation>显示排除区</translation>
    </message>
    <message>
        <source>Show which voxels are left out, a color for each reason.</source>
        <translation>显示被舍去的体素，每种原因一种颜色。</translation>
    </message>
    <message>
        <source>Margin:</source>
        <translation>边缘内缩：</translation>
    </message>
    <message>
        <source>Keep only voxels whose center is farther than this from the edge of the segment (mm). From 0 to 50.</source>
        <translation>仅保留中心距分割区边缘大于此距离的体素（mm）。0 至 50。</translation>
    </message>
    <message>
        <source>Part:</source>
        <translation>分析范围：</translation>
    </message>
    <message>
        <source>What to analyze of a segment of a vertebra: all of it, or its body, without pedicles, arch and processes.</source>
        <translation>分析椎骨分割区的哪一部分：全部，或仅椎体（不含椎弓根、椎弓和突起）。</translation>
    </message>
    <message>
        <source>Arterial input</source>
        <translation>动脉输入函数</translation>
    </message>
    <message>
        <source>Input:</source>
        <translation>输入函数：</translation>
    </message>
    <message>
        <source>Arterial input: measured in the segment, or a population curve placed at the arrival in it.</source>
        <translation>动脉输入函数：在分割区内测得，或采用群体平均曲线，并与对比剂到达该处的时刻对齐。</translation>
    </message>
    <message>
        <source>Voxels:</source>
        <translation>体素：</translation>
    </message>
    <message>
        <source>Voxels of the arterial segment: all, or those with an early, high and steep rise.</source>
        <translation>动脉分割区的体素：全部，或上升早、高且陡者。</translation>
    </message>
    <message>
        <source>Dose:</source>
        <translation>剂量：</translation>
    </message>
    <message>
        <source>Dose of contrast agent (mmol/kg). From 0.01 to 1.</source>
        <translation>对比剂剂量（mmol/kg）。0.01 至 1。</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>模型</translation>
    </message>
    <message>
        <source>Model:</source>
        <translation>模型：</translation>
    </message>
    <message>
        <source>Kinetic model; the reference region needs no artery, but a segment of muscle.</source>
        <translation>动力学模型；参考区模型不需要动脉，但需要肌肉分割区。</translation>
    </message>
    <message>
        <source>T1 marrow:</source>
        <translation>骨髓 T1：</translation>
    </message>
    <message>
        <source>T1 of marrow before contrast, that of its water where there is fat (about 900 ms); without fat a literature value for the field strength when absent (ms). From 10 to 10000.</source>
        <translation>增强前骨髓 T1；考虑脂肪时为其水的 T1（约 900 ms）；不考虑脂肪且未给出时取该场强的文献值（ms）。10 至 10000。</translation>
    </message>
    <message>
        <source>literature</source>
        <translation>取自文献</translation>
    </message>
    <message>
        <source>T1 blood:</source>
        <translation>血液 T1：</translation>
    </message>
    <message>
        <source>T1 of blood before contrast; a literature value for the field strength when absent (ms). From 10 to 10000.</source>
        <translation>增强前血液 T1；未给出时取该场强的文献值（ms）。10 至 10000。</translation>
    </message>
    <message>
        <source>Hematocrit:</source>
        <translation>血细胞比容：</translation>
    </message>
    <message>
        <source>Hematocrit of the large arteries (fraction). From 0 to 0.8.</source>
        <translation>大动脉的血细胞比容（小数）。0 至 0.8。</translation>
    </message>
    <message>
        <source>Relaxivity:</source>
        <translation>弛豫率：</translation>
    </message>
    <message>
        <source>Longitudinal relaxivity r1; by agent and field strength when absent (/s/mM). From 0.1 to 100.</source>
        <translation>纵向弛豫率 r1；未给出时由对比剂和场强决定（/s/mM）。0.1 至 100。</translation>
    </message>
    <message>
        <source>Delay:</source>
        <translation>延迟：</translation>
    </message>
    <message>
        <source>Delay from artery to tissue: none, given, one fitted per region, or one fitted per voxel.</source>
        <translation>从动脉到组织的延迟：无、给定、逐区域拟合或逐体素拟合。</translation>
    </message>
    <message>
        <source>Delay given:</source>
        <translation>给定延迟：</translation>
    </message>
    <message>
        <source>Delay that is given (s). From -60 to 60.</source>
        <translation>给定的延迟（s）。-60 至 60。</translation>
    </message>
    <message>
        <source>Bone density</source>
        <translation>骨密度</translation>
    </message>
    <message>
        <source>DXA table:</source>
        <translation>DXA 表：</translation>
    </message>
    <message>
        <source>Table of bone densitometry with the columns subject, site, BMD (g/cm2), T-score.</source>
        <translation>骨密度测量表，列为 subject、site、BMD（g/cm2）、T-score。</translation>
    </message>
    <message>
        <source>Import table…</source>
        <translation>导入表格…</translation>
    </message>
    <message>
        <source>Read a table of bone densitometry from a CSV file.</source>
        <translation>从 CSV 文件读取骨密度测量表。</translation>
    </message>
    <message>
        <source>Single site:</source>
        <translation>单个部位：</translation>
    </message>
    <message>
        <source>Site of a single measurement, used where no table is chosen.</source>
        <translation>单次测量的部位；未选择表格时使用。</translation>
    </message>
    <message>
        <source>T-score:</source>
        <translation>T 值：</translation>
    </message>
    <message>
        <source>T-score at this site (standard deviations); empty where it is not known.</source>
        <translation>该部位的 T 值（标准差）；未知则留空。</translation>
    </message>
    <message>
        <source>BMD:</source>
        <translation>BMD：</translation>
    </message>
    <message>
        <source>Areal bone mineral density at this site (g/cm2); empty where it is not known.</source>
        <translation>该部位的面积骨密度（g/cm2）；未知则留空。</translation>
    </message>
    <message>
        <source>Decides:</source>
        <translation>判定依据：</translation>
    </message>
    <message>
        <source>Site that decides: iscd the lowest of lumbar spine, total hip and femoral neck; paper the lumbar T-score alone; site the one named.</source>
        <translation>判定部位：ISCD 取腰椎、全髋和股骨颈中最低者；论文方式仅取腰椎 T 值；或取指定部位。</translation>
    </message>
    <message>
        <source>Sex:</source>
        <translation>性别：</translation>
    </message>
    <message>
        <source>Sex of the subject; from the DICOM header when absent.</source>
        <translation>受检者性别；未给出时取自 DICOM 头。</translation>
    </message>
    <message>
        <source>Age:</source>
        <translation>年龄：</translation>
    </message>
    <message>
        <source>Age of the subject, 90 for all who are older; from the DICOM header when absent (years). From 0 to 120.</source>
        <translation>受检者年龄，超过 90 岁者均记 90；未给出时取自 DICOM 头（岁）。0 至 120。</translation>
    </message>
    <message>
        <source>Menopause:</source>
        <translation>绝经：</translation>
    </message>
    <message>
        <source>Menopausal status: before, in transition, or after.</source>
        <translation>绝经状态：绝经前、过渡期或绝经后。</translation>
    </message>
    <message>
        <source>Fracture:</source>
        <translation>骨折：</translation>
    </message>
    <message>
        <source>There was a fragility fracture, with which osteoporosis is severe.</source>
        <translation>曾有脆性骨折；达到骨质疏松者即为严重骨质疏松。</translation>
    </message>
    <message>
        <source>Advanced</source>
        <translation>高级</translation>
    </message>
    <message>
        <source>Baseline frames:</source>
        <translation>基线帧数：</translation>
    </message>
    <message>
        <source>Number of frames before the contrast agent arrives; found from the arterial curve when absent.</source>
        <translation>对比剂到达前的基线帧数；未给出时由动脉曲线确定。</translation>
    </message>
    <message>
        <source>T1 muscle:</source>
        <translation>肌肉 T1：</translation>
    </message>
    <message>
        <source>T1 of the reference tissue before contrast; a literature value of muscle when absent (ms). From 10 to 10000.</source>
        <translation>增强前参考组织的 T1；未给出时取肌肉的文献值（ms）。10 至 10000。</translation>
    </message>
    <message>
        <source>Conversion:</source>
        <translation>换算：</translation>
    </message>
    <message>
        <source>Signal to concentration: exact inversion, or the linear legacy formula, which underestimates blood.</source>
        <translation>由信号换算浓度：精确反演，或沿用旧的线性公式（会低估血液浓度）。</translation>
    </message>
    <message>
        <source>B1:</source>
        <translation>B1：</translation>
    </message>
    <message>
        <source>Actual over nominal flip angle; a map goes before it (ratio). From 0.2 to 2.</source>
        <translation>实际与标称翻转角之比；有 B1 图时以图为准（比值）。0.2 至 2。</translation>
    </message>
    <message>
        <source>r2*:</source>
        <translation>r2*：</translation>
    </message>
    <message>
        <source>Transverse relaxivity r2* to correct for; 0 for none (/s/mM). From 0 to 200.</source>
        <translation>需校正的横向弛豫率 r2*；0 表示不校正（/s/mM）。0 至 200。</translation>
    </message>
    <message>
        <source>Fat fraction:</source>
        <translation>脂肪分数：</translation>
    </message>
    <message>
        <source>Fat fraction of the marrow; above 0 the conversion allows for fat; a map goes before it (fraction). From 0 to 0.95.</source>
        <translation>骨髓脂肪分数；大于 0 时换算计入脂肪；有脂肪分数图时以图为准（小数）。0 至 0.95。</translation>
    </message>
    <message>
        <source>T1 fat:</source>
        <translation>脂肪 T1：</translation>
    </message>
    <message>
        <source>T1 of marrow fat (ms). From 50 to 2000.</source>
        <translation>骨髓脂肪的 T1（ms）。50 至 2000。</translation>
    </message>
    <message>
        <source>Artery:</source>
        <translation>动脉：</translation>
    </message>
    <message>
        <source>Name of the segment that holds the artery; recognized by name (aorta, artery, AIF) when absent.</source>
        <translation>动脉分割区的名称；未给出时按名称识别（aorta、artery、AIF）。</translation>
    </message>
    <message>
        <source>Population height:</source>
        <translation>群体曲线幅度：</translation>
    </message>
    <message>
        <source>Height of a population curve: by the dose, or so that it meets the measured curve from 60 to 300 s.</source>
        <translation>群体平均曲线的幅度：按剂量确定，或使其在 60 至 300 s 与实测曲线相符。</translation>
    </message>
    <message>
        <source>Ktrans from:</source>
        <translation>Ktrans 下限：</translation>
    </message>
    <message>
        <source>Lower bound of Ktrans (/min). From 1e-06 to 100.</source>
        <translation>容积转移常数 Ktrans 的下限（/min）。1e-06 至 100。</translation>
    </message>
    <message>
        <source>Ktrans to:</source>
        <translation>Ktrans 上限：</translation>
    </message>
    <message>
        <source>Upper bound of Ktrans (/min). From 0.0001 to 100.</source>
        <translation>容积转移常数 Ktrans 的上限（/min）。0.0001 至 100。</translation>
    </message>
    <message>
        <source>ve from:</source>
        <translation>ve 下限：</translation>
    </message>
    <message>
        <source>Lower bound of ve (fraction). From 1e-06 to 1.</source>
        <translation>血管外细胞外间隙容积分数 ve 的下限（小数）。1e-06 至 1。</translation>
    </message>
    <message>
        <source>ve to:</source>
        <translation>ve 上限：</translation>
    </message>
    <message>
        <source>Upper bound of ve (fraction). From 0.0001 to 1.</source>
        <translation>血管外细胞外间隙容积分数 ve 的上限（小数）。0.0001 至 1。</translation>
    </message>
    <message>
        <source>vp to:</source>
        <translation>vp 上限：</translation>
    </message>
    <message>
        <source>Upper bound of vp (fraction). From 1e-06 to 1.</source>
        <translation>血浆容积分数 vp 的上限（小数）。1e-06 至 1。</translation>
    </message>
    <message>
        <source>Delay from:</source>
        <translation>延迟下限：</translation>
    </message>
    <message>
        <source>Smallest delay (s). From -60 to 60.</source>
        <translation>最小延迟（s）。-60 至 60。</translation>
    </message>
    <message>
        <source>Delay to:</source>
        <translation>延迟上限：</translation>
    </message>
    <message>
        <source>Largest delay (s). From -60 to 60.</source>
        <translation>最大延迟（s）。-60 至 60。</translation>
    </message>
    <message>
        <source>Reference:</source>
        <translation>参考组织：</translation>
    </message>
    <message>
        <source>Name of the segment that holds the reference tissue; recognized by name (muscle, psoas) when absent.</source>
        <translation>参考组织分割区的名称；未给出时按名称识别（muscle、psoas）。</translation>
    </message>
    <message>
        <source>Ktrans reference:</source>
        <translation>参考 Ktrans：</translation>
    </message>
    <message>
        <source>Ktrans of the reference tissue; without it Ktrans is relative and ve unknown (/min). From 1e-06 to 10.</source>
        <translation>参考组织的容积转移常数 Ktrans；未给出时 Ktrans 为相对值且 ve 未知（/min）。1e-06 至 10。</translation>
    </message>
    <message>
        <source>unknown</source>
        <translation>未知</translation>
    </message>
    <message>
        <source>This value is not known.</source>
        <translation>该值未知。</translation>
    </message>
    <message>
        <source>Margin in:</source>
        <translation>内缩方向：</translation>
    </message>
    <message>
        <source>Margin measured in all directions, or within the slices only, which then leaves out the first and the last slice of each segment.</source>
        <translation>边缘内缩沿所有方向测量，或仅在层面内测量；后者会舍去每个分割区的首层和末层。</translation>
    </message>
    <message>
        <source>Arch thickness:</source>
        <translation>椎弓厚度：</translation>
    </message>
    <message>
        <source>Parts of a vertebra thinner than this are arch, where only the body is analyzed (mm). From 4 to 25.</source>
        <translation>仅分析椎体时，薄于此值的部分视为椎弓（mm）。4 至 25。</translation>
    </message>
    <message>
        <source>Levels:</source>
        <translation>节段：</translation>
    </message>
    <message>
        <source>Levels of segments whose name does not tell, as SEGMENT=LEVEL,...; T12, L1 to L6, S1, or none; before everything else that tells.</source>
        <translation>名称不能说明节段的分割区，写作 分割区=节段,…；T12、L1 至 L6、S1 或 none；优先于其他依据。</translation>
    </message>
    <message>
        <source>Exclude:</source>
        <translation>排除：</translation>
    </message>
    <message>
        <source>What else to leave out: all, none, or a list separated by commas of arterial, plexus, bone-island, haemangioma, other-tissue, poor-fit.</source>
        <translation>另需舍去：all、none，或用逗号分隔的 arterial、plexus、bone-island、haemangioma、other-tissue、poor-fit。</translation>
    </message>
    <message>
        <source>Plexus:</source>
        <translation>静脉丛：</translation>
    </message>
    <message>
        <source>A vessel enhances early more than the marrow, by this many robust deviations (deviations). From 1 to 100.</source>
        <translation>早期强化高出骨髓此倍数稳健标准差者视为血管（倍）。1 至 100。</translation>
    </message>
    <message>
        <source>Arterial share:</source>
        <translation>动脉强化比：</translation>
    </message>
    <message>
        <source>A vessel is arterial that peaks with the artery and reaches this share of its enhancement (fraction). From 0.01 to 2.</source>
        <translation>与动脉同时达峰且强化达到动脉此比例的血管视为动脉（小数）。0.01 至 2。</translation>
    </message>
    <message>
        <source>Bone island:</source>
        <translation>骨岛：</translation>
    </message>
    <message>
        <source>A bone island is darker before contrast, by this many deviations (deviations). From 1 to 100.</source>
        <translation>增强前信号低于骨髓此倍数标准差者视为骨岛（倍）。1 至 100。</translation>
    </message>
    <message>
        <source>Island enhances:</source>
        <translation>骨岛强化：</translation>
    </message>
    <message>
        <source>And enhances by less than this (%). From 0 to 100.</source>
        <translation>且强化幅度低于此值（%）。0 至 100。</translation>
    </message>
    <message>
        <source>Fat:</source>
        <translation>脂肪：</translation>
    </message>
    <message>
        <source>Haemangioma and fat are brighter before contrast, by this many deviations (deviations). From 1 to 100.</source>
        <translation>增强前信号高于骨髓此倍数标准差者视为血管瘤或脂肪（倍）。1 至 100。</translation>
    </message>
    <message>
        <source>Other tissue:</source>
        <translation>其他组织：</translation>
    </message>
    <message>
        <source>Other tissue at the edge is darker or enhances less, by this many deviations (deviations). From 1 to 100.</source>
        <translation>边缘处信号较低或强化较弱达此倍数标准差者视为其他组织（倍）。1 至 100。</translation>
    </message>
    <message>
        <source>Poor fit:</source>
        <translation>拟合不佳：</translation>
    </message>
    <message>
        <source>A fit is poor whose residual exceeds that of the region by this many deviations (deviations). From 1 to 100.</source>
        <translation>拟合残差超出该区域此倍数标准差者视为拟合不佳（倍）。1 至 100。</translation>
    </message>
    <message>
        <source>Connected:</source>
        <translation>连通体素：</translation>
    </message>
    <message>
        <source>Connected voxels needed for an exclusion (voxels). From 1 to 1000.</source>
        <translation>构成排除所需的连通体素数（体素）。1 至 1000。</translation>
    </message>
    <message>
        <source>Excluded at most:</source>
        <translation>排除上限：</translation>
    </message>
    <message>
        <source>A level is not evaluable with more of its voxels inside the margin excluded (fraction). From 0 to 1.</source>
        <translation>内缩后的体素中被排除者超过此比例时，该节段不可评估（小数）。0 至 1。</translation>
    </message>
    <message>
        <source>Motion:</source>
        <translation>运动校正：</translation>
    </message>
    <message>
        <source>Motion correction: none, one rigid transform per frame for the whole spine, or one per vertebra; needs SimpleITK.</source>
        <translation>运动校正：无、每帧对全脊柱作一个刚性变换，或每个椎骨一个；需要 SimpleITK。</translation>
    </message>
    <message>
        <source>Bone site:</source>
        <translation>判定部位：</translation>
    </message>
    <message>
        <source>Site that decides in the mode site, e.g. femoral neck.</source>
        <translation>指定部位方式下的判定部位，例如 femoral neck。</translation>
    </message>
    <message>
        <source>Scores:</source>
        <translation>T/Z 值：</translation>
    </message>
    <message>
        <source>Classify scores as they are, or as reported with one decimal.</source>
        <translation>按原值分类，或按报告中保留一位小数的值分类。</translation>
    </message>
    <message>
        <source>Bone reference:</source>
        <translation>骨密度参考：</translation>
    </message>
    <message>
        <source>Reference set for scores the table does not give, e.g. Hologic; none are computed when absent.</source>
        <translation>用于计算表中未给出的 T/Z 值的参考数据集，例如 Hologic；未给出则不计算。</translation>
    </message>
    <message>
        <source>Densitometer:</source>
        <translation>骨密度仪：</translation>
    </message>
    <message>
        <source>Densitometer, where the table has no column for it.</source>
        <translation>骨密度仪（表中没有该列时）。</translation>
    </message>
    <message>
        <source>Without:</source>
        <translation>不计椎体：</translation>
    </message>
    <message>
        <source>Vertebrae that do not count, e.g. L2,L3, or none; proposed, but never excluded, when absent.</source>
        <translation>不计入的椎体，例如 L2,L3 或 none；未给出时仅提出建议，不会排除。</translation>
    </message>
    <message>
        <source>Compare with:</source>
        <translation>比较对象：</translation>
    </message>
    <message>
        <source>Reference that the perfusion of the subject is compared with: the paper's classes or age groups, whose scale does not carry over, or a cohort of your own.</source>
        <translation>与受检者灌注相比较的参考：论文的分组或年龄组（其数值尺度不能直接套用），或自有队列。</translation>
    </message>
    <message>
        <source>Maps:</source>
        <translation>参数图：</translation>
    </message>
    <message>
        <source>Maps: those of the model and the usual ones of enhancement, or all, with residual and R2 of the fit.</source>
        <translation>参数图：模型及常用强化参数图，或全部（含拟合残差和 R2）。</translation>
    </message>
    <message>
        <source>Apply</source>
        <translation>应用</translation>
    </message>
    <message>
        <source>Choose the inputs.</source>
        <translation>请选择输入。</translation>
    </message>
    <message>
        <source>Auto-update</source>
        <translation>自动更新</translation>
    </message>
    <message>
        <source>Compute anew whenever a value changes.</source>
        <translation>数值改变时自动重新计算。</translation>
    </message>
    <message>
        <source>Results</source>
        <translation>结果</translation>
    </message>
    <message>
        <source>Map:</source>
        <translation>参数图：</translation>
    </message>
    <message>
        <source>Map that lies over the anatomy, with its unit.</source>
        <translation>叠加在解剖图像上的参数图及其单位。</translation>
    </message>
    <message>
        <source>Table:</source>
        <translation>表格：</translation>
    </message>
    <message>
        <source>Table that is shown beside the images.</source>
        <translation>显示在图像旁的表格。</translation>
    </message>
    <message>
        <source>Vertebra:</source>
        <translation>椎体：</translation>
    </message>
    <message>
        <source>Jump to the center of this vertebra.</source>
        <translation>跳转到该椎体中心。</translation>
    </message>
    <message>
        <source>Show layout</source>
        <translation>显示布局</translation>
    </message>
    <message>
        <source>Show slice views, curves and tables.</source>
        <translation>显示切片视图、曲线和表格。</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>导出…</translation>
    </message>
    <message>
        <source>Write maps (NRRD), tables (CSV) and provenance into a folder.</source>
        <translation>将参数图（NRRD）、表格（CSV）和来源记录写入文件夹。</translation>
    </message>
    <message>
        <source>Curve under the mouse pointer</source>
        <translation>鼠标处曲线</translation>
    </message>
    <message>
        <source>Show the curve of the voxel under the mouse pointer, and its fit, in the plot.</source>
        <translation>在图中显示鼠标所指体素的曲线及其拟合。</translation>
    </message>
    <message>
        <source>No warnings</source>
        <translation>没有警告</translation>
    </message>
    <message>
        <source>Show what is to be heeded about this result.</source>
        <translation>显示该结果的注意事项。</translation>
    </message>
    <message>
        <source>What is to be heeded about this result.</source>
        <translation>该结果的注意事项。</translation>
    </message>
    <message>
        <source>For research use only. Not for use in diagnostic procedures.</source>
        <translation>仅供研究使用，不得用于诊断。</translation>
    </message>
    <message>
        <source>DCE Perfusion BMD</source>
        <translation>DCE 灌注与骨密度</translation>
    </message>
    <message>
        <source>
Quantitative dynamic contrast-enhanced MRI of lumbar vertebral marrow, next to bone mineral density.
See the &lt;a href="https://github.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD#readme"&gt;documentation&lt;/a&gt;.
&lt;p&gt;For research use only. Not for use in diagnostic procedures.&lt;/p&gt;
</source>
        <translation>
腰椎骨髓的定量动态对比增强 MRI，与骨密度并列分析。
请参阅&lt;a href="https://github.com/DCEPerfusionBMD/SlicerDCEPerfusionBMD#readme"&gt;文档&lt;/a&gt;。
&lt;p&gt;仅供研究使用，不得用于诊断。&lt;/p&gt;
</translation>
    </message>
    <message>
        <source>
The method follows Huang Z, Lin Q, Wang J, Zhan Z, Tu X. Relationship between quantitative parameters of lumbar
vertebral perfusion and bone mineral density (BMD) in postmenopausal women. Adv Clin Exp Med. 2019;28(8):1005-1011.
</source>
        <translation>
方法依据 Huang Z, Lin Q, Wang J, Zhan Z, Tu X. Relationship between quantitative parameters of lumbar
vertebral perfusion and bone mineral density (BMD) in postmenopausal women. Adv Clin Exp Med. 2019;28(8):1005-1011.
</translation>
    </message>
    <message>
        <source>No series is chosen.</source>
        <translation>尚未选择序列。</translation>
    </message>
    <message>
        <source>Reading DICOM</source>
        <translation>正在读取 DICOM</translation>
    </message>
    <message>
        <source>Compute maps, curves and tables.</source>
        <translation>计算参数图、曲线和表格。</translation>
    </message>
    <message>
        <source>Choose a dynamic series.</source>
        <translation>请选择动态序列。</translation>
    </message>
    <message>
        <source>Choose a segmentation with vertebrae and artery.</source>
        <translation>请选择含椎体和动脉的分割。</translation>
    </message>
    <message>
        <source>artery</source>
        <translation>动脉</translation>
    </message>
    <message>
        <source>muscle</source>
        <translation>肌肉</translation>
    </message>
    <message>
        <source>no level</source>
        <translation>无节段</translation>
    </message>
    <message>
        <source>Folder with the dynamic series</source>
        <translation>动态序列所在文件夹</translation>
    </message>
    <message>
        <source>Making the phantom</source>
        <translation>正在生成体模</translation>
    </message>
    <message>
        <source>Table of bone densitometry</source>
        <translation>骨密度测量表</translation>
    </message>
    <message>
        <source>Analyzing</source>
        <translation>正在分析</translation>
    </message>
    <message>
        <source>Apply first.</source>
        <translation>请先点击“应用”。</translation>
    </message>
    <message>
        <source>Folder for the results</source>
        <translation>结果文件夹</translation>
    </message>
    <message>
        <source>The results are written; the report has no curves, since matplotlib is not installed.</source>
        <translation>结果已写出；由于未安装 matplotlib，报告中没有曲线。</translation>
    </message>
    <message>
        <source>The results are written.</source>
        <translation>结果已写出。</translation>
    </message>
    <message>
        <source>Figures of the report</source>
        <translation>报告的图</translation>
    </message>
    <message>
        <source>The curves and figures of reports are drawn with matplotlib, which is not installed. Slicer can install it from the internet (PyPI); this changes Slicer's Python environment. Without it the report has its tables and maps, and says what is missing. Install it now?</source>
        <translation>报告中的曲线和图用 matplotlib 绘制，但尚未安装。Slicer 可以从互联网（PyPI）安装它，这会更改 Slicer 的 Python 环境。不安装时，报告仍有表格和参数图，并说明缺少的内容。现在安装吗？</translation>
    </message>
    <message>
        <source>matplotlib could not be installed; the log says why. The report has no figures.</source>
        <translation>无法安装 matplotlib，原因见日志。报告中没有图。</translation>
    </message>
    <message>
        <source>not given</source>
        <translation>未给出</translation>
    </message>
    <message>
        <source>exact</source>
        <translation>精确</translation>
    </message>
    <message>
        <source>linear (legacy)</source>
        <translation>线性（旧法）</translation>
    </message>
    <message>
        <source>measured in the artery</source>
        <translation>在动脉中测得</translation>
    </message>
    <message>
        <source>population (Parker)</source>
        <translation>群体平均（Parker）</translation>
    </message>
    <message>
        <source>population (Georgiou)</source>
        <translation>群体平均（Georgiou）</translation>
    </message>
    <message>
        <source>population (Weinmann)</source>
        <translation>群体平均（Weinmann）</translation>
    </message>
    <message>
        <source>population (Fritz-Hansen)</source>
        <translation>群体平均（Fritz-Hansen）</translation>
    </message>
    <message>
        <source>population (Orton 2)</source>
        <translation>群体平均（Orton 2）</translation>
    </message>
    <message>
        <source>population (Orton 3)</source>
        <translation>群体平均（Orton 3）</translation>
    </message>
    <message>
        <source>by the dose</source>
        <translation>按剂量</translation>
    </message>
    <message>
        <source>by the measured tail</source>
        <translation>按实测曲线尾段</translation>
    </message>
    <message>
        <source>all</source>
        <translation>全部</translation>
    </message>
    <message>
        <source>the most arterial</source>
        <translation>最具动脉特征者</translation>
    </message>
    <message>
        <source>Tofts</source>
        <translation>Tofts</translation>
    </message>
    <message>
        <source>extended Tofts</source>
        <translation>扩展 Tofts</translation>
    </message>
    <message>
        <source>Patlak</source>
        <translation>Patlak</translation>
    </message>
    <message>
        <source>two-compartment exchange</source>
        <translation>双室交换</translation>
    </message>
    <message>
        <source>linear Tofts</source>
        <translation>线性 Tofts</translation>
    </message>
    <message>
        <source>reference region</source>
        <translation>参考区</translation>
    </message>
    <message>
        <source>none</source>
        <translation>无</translation>
    </message>
    <message>
        <source>given</source>
        <translation>给定</translation>
    </message>
    <message>
        <source>fitted per region</source>
        <translation>逐区域拟合</translation>
    </message>
    <message>
        <source>fitted per voxel</source>
        <translation>逐体素拟合</translation>
    </message>
    <message>
        <source>all directions</source>
        <translation>所有方向</translation>
    </message>
    <message>
        <source>the slices only</source>
        <translation>仅层面内</translation>
    </message>
    <message>
        <source>all that is drawn</source>
        <translation>勾画的全部</translation>
    </message>
    <message>
        <source>vertebral body</source>
        <translation>椎体</translation>
    </message>
    <message>
        <source>whole spine</source>
        <translation>全脊柱</translation>
    </message>
    <message>
        <source>each vertebra</source>
        <translation>每个椎骨</translation>
    </message>
    <message>
        <source>ISCD: lowest site</source>
        <translation>ISCD：取最低部位</translation>
    </message>
    <message>
        <source>paper: lumbar T-score</source>
        <translation>论文：仅腰椎 T 值</translation>
    </message>
    <message>
        <source>the site named</source>
        <translation>指定部位</translation>
    </message>
    <message>
        <source>as reported (one decimal)</source>
        <translation>按报告值（一位小数）</translation>
    </message>
    <message>
        <source>female</source>
        <translation>女</translation>
    </message>
    <message>
        <source>male</source>
        <translation>男</translation>
    </message>
    <message>
        <source>before menopause</source>
        <translation>绝经前</translation>
    </message>
    <message>
        <source>in transition</source>
        <translation>过渡期</translation>
    </message>
    <message>
        <source>after menopause</source>
        <translation>绝经后</translation>
    </message>
    <message>
        <source>the paper's classes</source>
        <translation>论文的骨密度分组</translation>
    </message>
    <message>
        <source>the paper's age groups</source>
        <translation>论文的年龄组</translation>
    </message>
    <message>
        <source>a cohort</source>
        <translation>队列</translation>
    </message>
    <message>
        <source>standard</source>
        <translation>标准</translation>
    </message>
    <message>
        <source>The analysis is running.</source>
        <translation>正在分析。</translation>
    </message>
    <message>
        <source>The scene is closed.</source>
        <translation>场景已关闭。</translation>
    </message>
    <message>
        <source>none of them</source>
        <translation>都不是</translation>
    </message>
    <message>
        <source>TotalSegmentator failed.</source>
        <translation>TotalSegmentator 失败。</translation>
    </message>
    <message>
        <source>The data does not tell it.</source>
        <translation>数据中没有该值。</translation>
    </message>
    <message>
        <source>What the segment is taken for: {reason}</source>
        <translation>分割区识别依据：{reason}</translation>
    </message>
    <message>
        <source>nothing</source>
        <translation>无</translation>
    </message>
    <message>
        <source>The table cannot be read.</source>
        <translation>无法读取表格。</translation>
    </message>
    <message>
        <source>Canceled; nothing was changed.</source>
        <translation>已取消；未作任何更改。</translation>
    </message>
    <message>
        <source>Unexpected error: {error}</source>
        <translation>意外错误：{error}</translation>
    </message>
    <message>
        <source>Warnings: {count}</source>
        <translation>警告：{count}</translation>
    </message>
    <message>
        <source>The results cannot be written.</source>
        <translation>无法写入结果。</translation>
    </message>
    <message>
        <source>The library of this module is {beside}, but Python found another one in {found}. Remove that one (pip uninstall dce-perfusion-bmd) and restart Slicer.</source>
        <translation>本模块的库位于 {beside}，但 Python 找到的是 {found} 中的另一个。请移除后者（pip uninstall dce-perfusion-bmd）并重新启动 Slicer。</translation>
    </message>
    <message>
        <source>Checks passed: {count}</source>
        <translation>检查通过：{count} 项</translation>
    </message>
    <message>
        <source>Choose where the frame times (s) come from; opens by itself where they are in doubt.</source>
        <translation>选择帧时间（s）的来源；时间存疑时自动展开。</translation>
    </message>
    <message>
        <source>Frame times…</source>
        <translation>帧时间…</translation>
    </message>
    <message>
        <source>Given (s):</source>
        <translation>给定（s）：</translation>
    </message>
    <message>
        <source>Sources of frame times that pass all checks, each with its step (s).</source>
        <translation>通过全部核查的帧时间来源及其间隔（s）。</translation>
    </message>
    <message>
        <source>The result below is of earlier inputs; press Apply.</source>
        <translation>下方结果基于先前的输入；请点击“应用”。</translation>
    </message>
    <message>
        <source>from data: {times}</source>
        <translation>取自数据：{times}</translation>
    </message>
    <message>
        <source>given below</source>
        <translation>在下方给定</translation>
    </message>
    <message>
        <source>yes</source>
        <translation>是</translation>
    </message>
    <message>
        <source>no</source>
        <translation>否</translation>
    </message>
    <message>
        <source>Cohort</source>
        <translation>队列</translation>
    </message>
    <message>
        <source>Subjects:</source>
        <translation>受试者：</translation>
    </message>
    <message>
        <source>Table with a row for each subject or vertebra; columns such as subject, age (years), BMD (g/cm2), T-score, Ktrans (1/min), kep (1/min), ve (fraction).</source>
        <translation>每位受试者或每个椎体占一行的表；列如受试者、年龄（years）、BMD（g/cm2）、T 值、Ktrans（1/min）、kep（1/min）、ve（fraction，分数）。</translation>
    </message>
    <message>
        <source>Load CSV…</source>
        <translation>加载 CSV…</translation>
    </message>
    <message>
        <source>Read a table of subjects from a CSV file.</source>
        <translation>从 CSV 文件读取受试者表。</translation>
    </message>
    <message>
        <source>Category by:</source>
        <translation>分类依据：</translation>
    </message>
    <message>
        <source>T-score that classifies where the table has no class: iscd the lowest of lumbar spine, total hip and femoral neck; paper the lumbar one alone.</source>
        <translation>表中没有分类时用于分类的 T 值：iscd 取腰椎、全髋和股骨颈中最低者；paper 仅用腰椎。</translation>
    </message>
    <message>
        <source>Marks by:</source>
        <translation>标记依据：</translation>
    </message>
    <message>
        <source>Test behind the marks of Tables 1 to 3: Welch's t-tests corrected by Holm; Games-Howell; Dunnett against the group of reference; or lsd, uncorrected with pooled variance, as the source paper probably did.</source>
        <translation>表 1 至表 3 中标记所依据的检验：经 Holm 校正的 Welch t 检验；Games-Howell 检验；与参照组比较的 Dunnett 检验；或 lsd，即采用合并方差且不校正，源论文很可能如此。</translation>
    </message>
    <message>
        <source>Unit of ve:</source>
        <translation>ve 的单位：</translation>
    </message>
    <message>
        <source>Unit of ve in printed tables and figures.</source>
        <translation>打印表格和图中 ve 的单位。</translation>
    </message>
    <message>
        <source>Compare</source>
        <translation>比较</translation>
    </message>
    <message>
        <source>Compute tables, tests and charts of the subjects.</source>
        <translation>计算受试者的表格、检验和图表。</translation>
    </message>
    <message>
        <source>Show:</source>
        <translation>显示：</translation>
    </message>
    <message>
        <source>Table or chart of the cohort that is shown in the layout.</source>
        <translation>在布局中显示的队列表格或图表。</translation>
    </message>
    <message>
        <source>Save report…</source>
        <translation>保存报告…</translation>
    </message>
    <message>
        <source>Write tables (CSV), figures and a report (HTML) into a folder.</source>
        <translation>将表格（CSV）、图和报告（HTML）写入文件夹。</translation>
    </message>
    <message>
        <source>Choose a table with a row for each subject.</source>
        <translation>请选择每位受试者占一行的表。</translation>
    </message>
    <message>
        <source>{rows} rows read, {kept} kept, {left} left out.</source>
        <translation>读取 {rows} 行，保留 {kept} 行，排除 {left} 行。</translation>
    </message>
    <message>
        <source>Compare first.</source>
        <translation>请先比较。</translation>
    </message>
    <message>
        <source>Table of subjects</source>
        <translation>受试者表</translation>
    </message>
    <message>
        <source>Comparing</source>
        <translation>正在比较</translation>
    </message>
    <message>
        <source>Folder for the report</source>
        <translation>报告文件夹</translation>
    </message>
    <message>
        <source>Saving the report</source>
        <translation>正在保存报告</translation>
    </message>
    <message>
        <source>Welch's t-tests, corrected by Holm</source>
        <translation>Welch t 检验，Holm 校正</translation>
    </message>
    <message>
        <source>Games-Howell</source>
        <translation>Games-Howell 检验</translation>
    </message>
    <message>
        <source>Dunnett</source>
        <translation>Dunnett 检验</translation>
    </message>
    <message>
        <source>least significant difference, uncorrected</source>
        <translation>最小显著差异法，未校正</translation>
    </message>
    <message>
        <source>fraction</source>
        <translation>分数</translation>
    </message>
    <message>
        <source>mL/100 mL</source>
        <translation>mL/100 mL</translation>
    </message>
    <message>
        <source>The result below is of an earlier table or other choices; press Compare.</source>
        <translation>下方结果来自先前的表或其他选项；请按“比较”。</translation>
    </message>
    <message>
        <source>The report is in {folder}.</source>
        <translation>报告位于 {folder}。</translation>
    </message>
    <message>
        <source>Columns not recognized: {names}.</source>
        <translation>未识别的列：{names}。</translation>
    </message>
    <message>
        <source>Subject:</source>
        <translation>受试者：</translation>
    </message>
    <message>
        <source>Whose bone densitometry to take; offered where the table holds several subjects.</source>
        <translation>采用哪位受试者的骨密度测量；表中含多名受试者时提供。</translation>
    </message>
    <message>
        <source>not chosen</source>
        <translation>未选择</translation>
    </message>
    <message>
        <source>Reference tissue</source>
        <translation>参考组织</translation>
    </message>
    <message>
        <source>Time (s)</source>
        <translation>时间 (s)</translation>
    </message>
    <message>
        <source>Contrast agent (mmol/L)</source>
        <translation>对比剂 (mmol/L)</translation>
    </message>
    <message>
        <source>The vertebrae are outlined; now outline the artery.</source>
        <translation>椎体已勾画；现在请勾画动脉。</translation>
    </message>
    <message>
        <source>The outlines could not be copied into the segmentation that is chosen.</source>
        <translation>无法将轮廓复制到所选分割中。</translation>
    </message>
    <message>
        <source>Perfusion per vertebra</source>
        <translation>各椎体灌注</translation>
    </message>
    <message>
        <source>Enhancement per vertebra</source>
        <translation>各椎体强化</translation>
    </message>
    <message>
        <source>Sensitivity to the margin</source>
        <translation>对边缘的敏感性</translation>
    </message>
    <message>
        <source>Enhancement curves</source>
        <translation>强化曲线</translation>
    </message>
    <message>
        <source>BMD classification</source>
        <translation>骨密度分类</translation>
    </message>
    <message>
        <source>Perfusion comparison</source>
        <translation>灌注比较</translation>
    </message>
    <message>
        <source>Motion</source>
        <translation>运动</translation>
    </message>
    <message>
        <source>Export DICOM…</source>
        <translation>导出 DICOM…</translation>
    </message>
    <message>
        <source>Write maps, regions and a measurement report as DICOM objects beside the source series; they name the patient as it does.</source>
        <translation>将参数图、区域和测量报告写成与源序列并列的 DICOM 对象；其中的患者信息与源序列相同。</translation>
    </message>
    <message>
        <source>Folder with the DICOM series that was analyzed</source>
        <translation>已分析的 DICOM 序列所在文件夹</translation>
    </message>
    <message>
        <source>Folder for the DICOM objects</source>
        <translation>DICOM 对象的输出文件夹</translation>
    </message>
    <message>
        <source>Exporting DICOM</source>
        <translation>正在导出 DICOM</translation>
    </message>
    <message>
        <source>The DICOM objects are written.</source>
        <translation>DICOM 对象已写出。</translation>
    </message>
    <message>
        <source>DICOM objects need highdicom, which Slicer 5.12 brings and Slicer 5.10 does not.</source>
        <translation>DICOM 对象需要 highdicom；Slicer 5.12 自带，Slicer 5.10 没有。</translation>
    </message>
    <message>
        <source>DICOM objects belong to a series that was read with Load DICOM…; this one was not.</source>
        <translation>DICOM 对象须属于用“加载 DICOM…”读取的序列；此序列不是。</translation>
    </message>
</context>
</TS>
